"""One SOAP session per source: logged in when first used, again when it has ended, and never twice with a wrong
password (SAFETY 21: a fleet must not lock an account)."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pyVim.connect import Connect, Disconnect
from pyVmomi import vim

from contracts.config import SourceConfig
from contracts.errors import FerryError
from platforms.secrets import resolve
from platforms.tls import context_for
from platforms.vsphere.faults import translated

Answer = TypeVar("Answer")
TIMEOUT = 120
"""Seconds for one call: a busy vCenter takes its time, a dead one must be noticed."""
KEEP_ALIVE = 600.0
VERSION = "vim.version.v8_0_3_0"


class Session:
    """The connection of one source. Calls may come from any thread."""

    def __init__(self, name: str, config: SourceConfig) -> None:
        self.name, self.config = name, config
        self._lock = threading.RLock()
        self._instance: Any = None
        self._refused: FerryError | None = None
        self._used = 0.0

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.config.url)
        return parts.hostname or "", parts.port or 443

    def call(self, doing: str, work: Callable[[Any], Answer], *, repeat: bool = True) -> Answer:
        """Do something with the ServiceInstance; once more after a new login, if the session had ended.

        Args:
            doing: for the error's message.
            repeat: False for what must not be done twice: then the caller looks and decides.

        Raises:
            FerryError: classified.
        """
        instance = self._connected()
        try:
            return work(instance)
        except vim.fault.NotAuthenticated as error:
            self._drop(instance)
            if not repeat:
                raise translated(error, doing) from None
        except Exception as error:
            raise translated(error, doing) from None
        try:
            return work(self._connected())
        except Exception as error:
            raise translated(error, doing) from None

    def cookie(self) -> str:
        """``vmware_soap_session=…``, for `/folder`: the raw Set-Cookie text, cut at its first semicolon."""
        cookie: str = self.call("read the session", lambda instance: instance._stub.cookie)
        return cookie.split(";")[0]

    def renew(self) -> None:
        """Forget the session, since a door that takes its cookie said that it is over."""
        with self._lock:
            if self._instance is not None:
                self._drop(self._instance)

    def context(self) -> Any:
        """The TLS context, for `/folder`."""
        return context_for(self.config, code="vsphere.certificate")

    def forget_refusal(self) -> None:
        """The secret was corrected: try again."""
        self._refused = None

    def close(self) -> None:
        """Log out."""
        with self._lock:
            instance, self._instance = self._instance, None
        if instance is not None:
            with contextlib.suppress(Exception):
                Disconnect(instance)

    def _connected(self) -> Any:
        with self._lock:
            if self._instance is None:
                self._instance = self._login()
            elif time.monotonic() - self._used > KEEP_ALIVE:
                with contextlib.suppress(Exception):
                    self._instance.CurrentTime()
            self._used = time.monotonic()
            return self._instance

    def _login(self) -> Any:
        if self._refused is not None:
            raise self._refused
        host, port = self.address
        try:
            return Connect(
                host=host, port=port, user=self.config.username, pwd=resolve(self.config.password),
                sslContext=self.context(), version=VERSION, httpConnectionTimeout=TIMEOUT,
            )  # fmt: skip
        except vim.fault.InvalidLogin:
            self._refused = FerryError(
                "vsphere.login_refused", f"{self.config.username} is refused at {self.config.url}"
            )
            raise self._refused from None
        except Exception as error:
            raise translated(error, f"log in at {self.config.url}") from None

    def _drop(self, instance: Any) -> None:
        with self._lock:
            if self._instance is instance:
                self._instance = None
