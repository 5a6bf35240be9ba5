"""A look at a running VM's console through XAPI: text where there is a vt100 one, else a picture (rfb).

CONNECT /console on the host where the VM runs (xen-api console.ml): after the 200, the connection is the raw protocol.
A pool with ``limit_console_sessions`` lets one in at a time: we are brief, and never push anybody out.
"""

import contextlib
import time
from urllib.parse import urlsplit

from contracts.errors import FerryError
from disks.rfb import BrokenRfb, screenshot
from platforms.xapi.connection import Connection, netloc, spoken
from platforms.xapi.exchange import Exchange, open_exchange
from platforms.xapi.lookup import records_of, vm_ref

TEXT_SECONDS = 5.0
"""For which text is read: a console tells what comes, and perhaps nothing of what was."""
PICTURE_SECONDS = 30.0
MOST_TEXT = 64 << 10
PIECE = 64 << 10


def console(api: Connection, uuid: str) -> tuple[bytes, bytes]:
    """Text as a terminal gets it, and a PNG: one of the two is empty.

    Raises:
        FerryError: ``smoke.console_busy``, ``smoke.console_unreadable``, and what any call raises.
    """
    found = records_of(api, "console", api.call("VM.get_consoles", vm_ref(api, uuid)))
    for protocol in ("vt100", "rfb"):
        for ref, record in found.items():
            if record["protocol"] == protocol:
                with contextlib.closing(_opened(api, ref, record["location"])) as exchange:
                    return (_text(exchange), b"") if protocol == "vt100" else (b"", _picture(exchange))
    raise FerryError("smoke.console_unreadable", "the pool offers no console of the VM")


def _opened(api: Connection, ref: str, location: str) -> Exchange:
    where = netloc(urlsplit(location).netloc, urlsplit(api.url).port)
    for again in (False, True):
        session = api.session()
        exchange = open_exchange(api, "CONNECT", "/console", {"ref": ref}, at=where)
        if exchange.status == 200:
            return exchange
        exchange.close()
        if exchange.status != 401 or again:
            break
        api.renew(session)
    if exchange.status == 503:
        raise FerryError("smoke.console_busy", "somebody else is at the VM's console, and the pool lets one in")
    raise FerryError("smoke.console_unreadable", f"{exchange.host} answers CONNECT /console by {exchange.status}")


def _text(exchange: Exchange) -> bytes:
    """What comes for some seconds; its last bytes."""
    until, read = time.monotonic() + TEXT_SECONDS, b""
    with contextlib.suppress(OSError):  # that it falls silent, or hangs up, is no failure
        while (left := until - time.monotonic()) > 0:
            exchange.sock.settimeout(left)
            piece = exchange.reader.read1(PIECE)
            if not piece:
                break
            read = (read + piece)[-MOST_TEXT:]
    return read


def _picture(exchange: Exchange) -> bytes:
    until = time.monotonic() + PICTURE_SECONDS

    def exactly(count: int) -> bytes:
        got = bytearray()
        while len(got) < count:
            if (left := until - time.monotonic()) <= 0:
                raise TimeoutError
            exchange.sock.settimeout(left)
            piece = exchange.reader.read1(min(count - len(got), PIECE))
            if not piece:
                raise ConnectionError("the console ended")
            got += piece
        return bytes(got)

    try:
        return screenshot(exactly, exchange.sock.sendall)
    except BrokenRfb as error:
        raise FerryError("smoke.console_unreadable", str(error)) from None
    except OSError as error:
        raise FerryError("smoke.console_unreadable", f"no picture of the console: {spoken(error)}") from None
