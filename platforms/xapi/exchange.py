"""One HTTP exchange on a TLS socket: head out, status line in, and then bytes either way.

XAPI answers before it reads a body (xapi.md §1.4), so a redirect is followed before a byte of data is sent. HTTP
libraries send the body first and swallow the errors of writing it; hence the socket (DESIGN §4).
"""

import contextlib
import io
import socket
import struct
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from contracts.errors import FerryError
from platforms.http_head import read_head
from platforms.tls_stream import TlsStream
from platforms.xapi.connection import Connection, netloc, unreachable

MOST_HEAD = 1024
"""Bytes that XAPI takes as a request's head (xapi.md §1.2)."""
REDIRECTS = 3
CONNECT_SECONDS = 20.0
HEAD_SECONDS = 60.0
STALL_SECONDS = 300.0
"""A peer that takes or gives nothing for that long is gone (XO's measure, xapi.md §1.11)."""


@dataclass
class Exchange:
    """An answered request whose connection is open."""

    sock: TlsStream
    reader: io.BufferedReader
    host: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)

    def close(self) -> None:
        """Hang up. Never raises."""
        for each in (self.reader, self.sock):
            with contextlib.suppress(OSError, ValueError):
                each.close()

    def reset(self) -> None:
        """Hang up by a TCP reset, so that the receiver writes no stale piece (xapi-receive.md). Never raises."""
        with contextlib.suppress(OSError, ValueError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def open_exchange(api: Connection, method: str, path: str, query: dict[str, str], *, at: str | None = None) -> Exchange:
    """Send a request's head and read the answer's, over redirects from host to host.

    Args:
        at: ``host[:port]`` to begin with; the coordinator when None.

    Returns:
        The exchange with whatever status it was answered, but never a redirect.

    Raises:
        FerryError: ``xapi.unreachable``, ``xapi.certificate``.
    """
    where, target = at or urlsplit(api.url).netloc, f"{path}?{urlencode(query, safe=':/')}"
    for _ in range(REDIRECTS):
        exchange = _once(api, method, where, target)
        if exchange.status not in (301, 302, 307, 308):
            return exchange
        exchange.close()
        where, target = _redirected(exchange, urlsplit(api.url).port)
    raise FerryError("xapi.failure", f"{method} {path}: hosts redirect to each other, round and round")


def _redirected(exchange: Exchange, port: int | None) -> tuple[str, str]:
    location = urlsplit(exchange.headers.get("location", ""))
    if location.scheme != "https" or not location.hostname:
        raise FerryError("xapi.failure", f"{exchange.host} redirects to somewhere without TLS")
    host = f"[{location.hostname}]" if ":" in location.hostname else location.hostname
    return netloc(host, location.port or port), f"{location.path}?{location.query}"


def _once(api: Connection, method: str, where: str, target: str) -> Exchange:
    parts = urlsplit(f"https://{where}")
    host, port = parts.hostname or where, parts.port or 443
    # The session goes as a cookie: a URL ends in logs (SAFETY, DESIGN §4).
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: {where}\r\nCookie: session_id={api.session()}\r\n"
        "User-Agent: ferry\r\nConnection: close\r\n\r\n"
    ).encode("ascii")
    assert len(head) < MOST_HEAD, "XAPI refuses longer heads"
    doing = f"{method} {urlsplit(target).path}"
    sock: socket.socket | None = None
    try:
        sock = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        secured = TlsStream(sock, api.context, host)
        secured.settimeout(HEAD_SECONDS)
        secured.sendall(head)
        reader = secured.makefile("rb", buffering=256 << 10)
        status, headers = read_head(reader)
        secured.settimeout(STALL_SECONDS)
    except (OSError, ValueError) as error:
        if sock is not None:
            sock.close()
        raise unreachable(host, doing, error, unsent=False) from None
    except FerryError:
        if sock is not None:
            sock.close()
        raise
    return Exchange(secured, reader, host, status, headers)
