"""Trouble of a whole system, not of one call: it cannot be reached, restarts, forgets, or is somebody else.

A :class:`Gate` stands before the doors of a simulator. An outage begins with the request that it was told to wait for
(``skip``), and is over after so many requests or real seconds. The lab's own door (``/lab/``) passes unharmed, once it
has a connection. Kinds that every gate knows:

``cut``          connections are reset, open ones too; new ones are refused
``slow``         each answer waits ``argument`` seconds
``truncated``    an answer ends after ``argument`` bytes, by a close
``http``         status ``argument``, with a page as a proxy before the host writes it
``certificate``  who answers bears a certificate of another authority; open connections are cut

A simulator adds its own (``events``): what it forgets or becomes at that moment.
"""

import contextlib
import http.server
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from simulators.authority import Authority

PAGE = b"<html><head><title>%d</title></head><body><h1>upstream connect error</h1></body></html>"


@dataclass
class Outage:
    """One kind of trouble.

    Attributes:
        kind: a word of the module's list, or an event of the simulator.
        skip: how many requests pass unharmed first.
        count: how many requests it meets at most; -1 is no limit.
        seconds: how long it lasts from its first strike; 0 is no limit.
        argument: as the kind needs it.
        closed: seconds of ``cut`` that follow an event, as of a program that restarts.
    """

    kind: str
    skip: int = 0
    count: int = 1
    seconds: float = 0.0
    argument: Any = None
    closed: float = 0.0
    struck: int = field(default=0, compare=False)
    began: float | None = field(default=None, compare=False)

    @property
    def over(self) -> bool:
        """Whether it will meet nobody any more."""
        late = self.began is not None and self.seconds and time.monotonic() - self.began > self.seconds
        return self.count == 0 or bool(late)


class Gate:
    """Who stands at the doors. ``events``: what a simulator does at an outage; False where there was nothing to do."""

    def __init__(self, authority: Authority, host: str) -> None:
        self._authority, self._host = authority, host
        self._outages: list[Outage] = []
        self._live: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._strange: ssl.SSLContext | None = None
        self.events: dict[str, Callable[[Any], bool]] = {}
        self.requests: Counter[str] = Counter()

    def begin(self, outage: Outage) -> Outage:
        """Put it in force."""
        with self._lock:
            self._outages.append(outage)
        return outage

    def clear(self) -> None:
        """All is well again."""
        with self._lock:
            for each in self._outages:
                each.count = 0
            self._outages.clear()

    def listed(self) -> list[dict[str, Any]]:
        """All outages with how often each has struck."""
        with self._lock:
            return [asdict(each) for each in self._outages]

    # -- for the listener

    def meet(self, connection: socket.socket) -> None:
        """A connection has come. Raises OSError where it is refused."""
        if self._in_force("cut"):
            reset(connection)
            connection.close()
            raise ConnectionAbortedError("on order")

    def context(self, usual: ssl.SSLContext) -> ssl.SSLContext:
        """With which certificate a connection is answered."""
        if not self._in_force("certificate"):
            return usual
        with self._lock:
            if self._strange is None:
                self._strange = Authority(self._authority.folder / "another-ca").server_context(self._host)
            return self._strange

    def _in_force(self, kind: str) -> bool:
        with self._lock:
            return any(each.kind == kind and each.began is not None and not each.over for each in self._outages)

    # -- for the doors

    def came(self, connection: socket.socket) -> None:
        """A connection is open."""
        with self._lock:
            self._live.add(connection)

    def went(self, connection: socket.socket) -> None:
        """It is no more."""
        with self._lock:
            self._live.discard(connection)

    def admit(self, door: "Gated") -> bool:
        """Whether a request is carried out; what is to be answered otherwise has been."""
        with self._lock:
            self.requests[f"{door.command} /{urlsplit(door.path).path.split('/')[1]}"] += 1
            due = [each for each in self._outages if self._is_due(each)]
        return all([self._strikes(each, door) for each in due])

    def _is_due(self, outage: Outage) -> bool:
        if outage.over:
            return False
        if outage.skip > 0:
            outage.skip -= 1
            return False
        return True

    def _strikes(self, outage: Outage, door: "Gated") -> bool:
        if outage.kind in self.events:
            if not self.events[outage.kind](outage.argument):
                return True  # nothing to do: the next request may find something
            if outage.closed:
                self.begin(Outage("cut", count=-1, seconds=outage.closed, began=time.monotonic()))
                self.cut()
        outage.began = outage.began or time.monotonic()
        outage.struck += 1
        outage.count -= 1 if outage.count > 0 else 0
        match outage.kind:
            case "slow":
                time.sleep(float(outage.argument))
            case "truncated":
                door.wfile = _Short(door, int(outage.argument))  # type: ignore[assignment]
            case "http":
                door.refuse(int(outage.argument))
                return False
            case "cut" | "certificate":
                self.cut()
                return False
        return not outage.closed

    def cut(self) -> None:
        """All connections that are open, whoever reads or writes on them now."""
        with self._lock:
            live = list(self._live)
        for each in live:
            reset(each)
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)  # not TLS's, which would take the state from its owner


class Gated(http.server.BaseHTTPRequestHandler):
    """A door with a gate before it; ``server.gate`` is the :class:`Gate`."""

    server: Any

    def setup(self) -> None:
        super().setup()
        self.server.gate.came(self.connection)

    def finish(self) -> None:
        self.server.gate.went(self.connection)
        super().finish()

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if self.path.startswith("/lab/") or self.server.gate.admit(self):
            return True
        self.close_connection = True
        return False

    def refuse(self, status: int) -> None:
        """A page instead of an answer."""
        if "Content-Length" in self.headers:
            self.rfile.read(int(self.headers["Content-Length"]))
        page = PAGE % status
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(page)


class _Short:
    """What is written after so many bytes goes nowhere, and the connection is closed."""

    def __init__(self, door: Gated, left: int) -> None:
        self._door, self._real, self._left = door, door.wfile, left

    def write(self, data: bytes) -> int:
        self._real.write(data[: self._left])
        self._left -= len(data)
        if self._left <= 0:
            self._door.close_connection = True
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._door.connection, socket.SHUT_RDWR)
            raise ConnectionAbortedError("on order")
        return len(data)

    def flush(self) -> None:
        self._real.flush()

    def close(self) -> None:
        self._real.close()

    @property
    def closed(self) -> bool:
        return self._real.closed


def reset(connection: socket.socket) -> None:
    """When it is closed, it is by a reset."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
