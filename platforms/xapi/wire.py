"""One XML-RPC connection to one host, which never repeats a call by itself."""

import http.client
import select
import ssl
import xmlrpc.client
from typing import Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

import XenAPI

from contracts.errors import FerryError

CONNECT_SECONDS = 20.0
NULL = "OpaqueRef:NULL"

Failures = (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError)
"""All that a call may end in, besides an answer."""


class NotSent(Exception):
    """No connection could be had, so nothing was asked: asking again is safe whatever the call."""


class _Transport(xmlrpc.client.SafeTransport):
    """With our trust, time-outs, and no hidden second try: creating calls are not idempotent (xapi.md §3.12)."""

    user_agent = "ferry"

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context=context)

    def ready(self, host: str, patience: float) -> None:
        """A live connection to the host, made anew where the kept one was closed from the other side."""
        connection = self.make_connection(host)
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()
        if connection.sock is None:
            connection.timeout = CONNECT_SECONDS
            connection.connect()
        connection.sock.settimeout(patience)

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        """Ask once."""
        return self.single_request(host, handler, request_body, verbose)


class Line:
    """A connection, used by one thread at a time."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self.url = url
        self._host = urlsplit(url).netloc
        self._transport = _Transport(context)
        self._session = XenAPI.Session(url, transport=self._transport)

    def ask(self, method: str, params: tuple[Any, ...], patience: float) -> Any:
        """XAPI's answer as it is: ``{"Status": …}``.

        Args:
            patience: seconds that the host may be silent.

        Raises:
            NotSent: nothing was asked; its cause is one of :data:`Failures`.
            Failures: something was asked, and the outcome is unknown.
        """
        try:
            self._transport.ready(self._host, patience)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NotSent from error
        except FerryError:
            self.close()
            raise
        try:
            return getattr(self._session, method)(*params)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._transport.close()
