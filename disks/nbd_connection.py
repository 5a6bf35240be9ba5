"""One connection to an NBD server: the handshake, and requests of which many are in flight at once.

What the server says is bounded and never believed: every offset and length must be one that was asked for. Where it is
old (XAPI's own), plain replies and EXPORT_NAME do. (Protocol: doc/proto.md of NetworkBlockDevice/nbd.)
"""

import contextlib
import itertools
import socket
import ssl
import struct
from bisect import bisect_right
from dataclasses import dataclass, field

from disks.extents import Extent, total

PIECE = 512 << 10
"""Bytes of one request, at most; a batch of 2 MiB is four in flight on each connection."""
STATUS_SPAN = 1 << 30
CONNECT_SECONDS = 20.0
SILENCE_SECONDS = 120.0
MOST_OPTION = 64 << 10
MOST_OPTIONS = 64
"""Replies to one option of the handshake."""
MOST_RUNS = STATUS_SPAN // 512
_IHAVEOPT, _REPLY = 0x49484156454F5054, 0x3E889045565A9
_EXPORT_NAME, _ABORT, _STARTTLS, _GO, _STRUCTURED, _SET_CONTEXT = 1, 2, 5, 7, 8, 10
_ACK, _INFO, _CONTEXT, _ERROR = 1, 3, 4, 1 << 31
_REQUEST, _SIMPLE, _CHUNK = 0x25609513, 0x67446698, 0x668E33EF
_READ, _DISC, _STATUS = 0, 2, 7
_DONE, _DATA, _HOLE, _BLOCK_STATUS, _FAILED = 1, 1, 2, 5, 1 << 15


Waiting = dict[int, list[Extent]]
"""Handle of a read to what of it is still to come, as places in the buffer."""


class NbdError(Exception):
    """The server refuses, breaks the protocol, or is gone. ``meant``: asking again is no use."""

    def __init__(self, told: str, *, meant: bool = False) -> None:
        super().__init__(told)
        self.meant = meant


@dataclass(frozen=True)
class NbdAddress:
    """Where an export is: a unix socket, or host and port.

    Attributes:
        tls: the context to speak TLS with; ``name`` is what the certificate must say.
    """

    export: str = ""
    unix: str = ""
    host: str = ""
    port: int = 10809
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    name: str = ""


class NbdConnection:
    """Used by one thread at a time. Raises :class:`NbdError`, OSError."""

    def __init__(self, address: NbdAddress, context: str) -> None:
        self._handles = itertools.count(1)
        self._structured = False
        self.context_id: int | None = None
        self._largest = 32 << 20
        self.sock = _dialled(address)
        try:
            self._shake_hands(address, context)
        except BaseException:
            self.sock.close()
            raise
        self.sock.settimeout(SILENCE_SECONDS)

    # -- the handshake

    def _shake_hands(self, address: NbdAddress, context: str) -> None:
        magic, version, flags = struct.unpack(">8sQH", self._bytes(18))
        if magic != b"NBDMAGIC" or version != _IHAVEOPT or not flags & 1:
            raise NbdError("that is no NBD server of the fixed newstyle", meant=True)
        self._no_zeroes = bool(flags & 2)
        self.sock.sendall(struct.pack(">I", flags & 3))
        if address.tls is not None:
            if self._option(_STARTTLS, b"")[0] != _ACK:
                raise NbdError("the server speaks no TLS", meant=True)
            self.sock = address.tls.wrap_socket(self.sock, server_hostname=address.name or address.host)
        self._structured = self._option(_STRUCTURED, b"")[0] == _ACK
        if self._structured and context:
            self._set_context(address.export, context)
        self._go(address.export)

    def _set_context(self, export: str, context: str) -> None:
        name, query = export.encode(), context.encode()
        asked = struct.pack(">I", len(name)) + name + struct.pack(">II", 1, len(query)) + query
        self._say(_SET_CONTEXT, asked)
        for _ in range(MOST_OPTIONS):
            kind, data = self._reply(_SET_CONTEXT)
            if kind == _CONTEXT and len(data) > 4 and data[4:].decode(errors="replace") == context:
                self.context_id = struct.unpack_from(">I", data)[0]
            elif kind == _ACK or kind & _ERROR:
                return
        raise NbdError("the handshake has no end", meant=True)

    def _go(self, export: str) -> None:
        name = export.encode()
        self._say(_GO, struct.pack(">I", len(name)) + name + struct.pack(">HH", 1, 3))
        size: int | None = None
        for _ in range(MOST_OPTIONS):
            kind, data = self._reply(_GO)
            if kind == _INFO and len(data) >= 2:
                what = struct.unpack_from(">H", data)[0]
                if what == 0 and len(data) == 12:
                    size = struct.unpack_from(">Q", data, 2)[0]
                elif what == 3 and len(data) == 14:
                    self._largest = max(4096, struct.unpack_from(">I", data, 10)[0])
            elif kind == _ACK:
                if size is None:
                    raise NbdError("the server does not say how large the export is", meant=True)
                self.size = size
                return
            elif kind == _ERROR | 1:  # it knows no such option
                break
            elif kind & _ERROR:
                raise NbdError(f"the export {export.partition('?')[0]!r} is refused: {_told(kind, data)}", meant=True)
        else:
            raise NbdError("the handshake has no end", meant=True)
        self.sock.sendall(struct.pack(">QII", _IHAVEOPT, _EXPORT_NAME, len(name)) + name)
        self.size, _ = struct.unpack(">QH", self._bytes(10))
        if not self._no_zeroes:
            self._bytes(124)

    def _option(self, option: int, data: bytes) -> tuple[int, bytes]:
        self._say(option, data)
        return self._reply(option)

    def _say(self, option: int, data: bytes) -> None:
        self.sock.sendall(struct.pack(">QII", _IHAVEOPT, option, len(data)) + data)

    def _reply(self, option: int) -> tuple[int, bytes]:
        magic, about, kind, length = struct.unpack(">QIII", self._bytes(20))
        if magic != _REPLY or about != option or length > MOST_OPTION:
            raise NbdError("the server breaks the protocol in the handshake", meant=True)
        return kind, self._bytes(length)

    # -- requests

    def send_reads(self, offset: int, length: int) -> Waiting:
        """The requests for these bytes, all at once."""
        if offset < 0 or offset + length > self.size:
            raise ValueError(f"{offset}+{length} is past the end of {self.size} bytes")
        piece = min(PIECE, self._largest)
        waiting: Waiting = {}
        requests = bytearray()
        for at in range(0, length, piece):
            size = min(piece, length - at)
            handle = next(self._handles)
            requests += struct.pack(">IHHQQI", _REQUEST, 0, _READ, handle, offset + at, size)
            waiting[handle] = [Extent(at, at + size)]
        self.sock.sendall(requests)
        return waiting

    def receive(self, offset: int, buffer: memoryview, waiting: Waiting) -> None:
        """Their answers, in whatever order they come."""
        while waiting:
            if self._structured:
                self._read_chunk(waiting, offset, buffer)
            else:
                self._read_simple(waiting, buffer)

    def _read_simple(self, waiting: Waiting, buffer: memoryview) -> None:
        magic, error, handle = struct.unpack(">IIQ", self._bytes(16))
        if magic != _SIMPLE or handle not in waiting:
            raise NbdError("the server answers what was not asked")
        [asked] = waiting.pop(handle)
        if error:
            raise NbdError(f"read failed with error {error}", meant=True)
        with buffer[asked.start : asked.end] as view:
            self._fill(view)

    def _read_chunk(self, waiting: Waiting, base: int, buffer: memoryview) -> None:
        magic, flags, kind, handle, size = struct.unpack(">IHHQI", self._bytes(20))
        if magic != _CHUNK or handle not in waiting:
            raise NbdError("the server answers what was not asked")
        missing = waiting[handle]
        if kind in (_DATA, _HOLE):
            if size < 9 or (kind == _HOLE and size != 12):
                raise NbdError("a chunk is too short")
            offset = struct.unpack(">Q", self._bytes(8))[0]
            count = struct.unpack(">I", self._bytes(4))[0] if kind == _HOLE else size - 8
            start = offset - base
            _came(missing, start, start + count)
            with buffer[start : start + count] as view:
                if kind == _HOLE:
                    view[:] = bytes(count)
                else:
                    self._fill(view)
        elif kind & _FAILED:
            raise NbdError(self._failure(size), meant=True)
        elif size:
            raise NbdError(f"a chunk of type {kind} answers a read")
        if flags & _DONE:
            del waiting[handle]
            if missing:
                raise NbdError(f"{total(missing)} bytes of a read did not come")

    def status(self) -> list[tuple[Extent, int]]:
        """Of the whole export, in the context that was set; all of it with flags 0 where there is none."""
        if self.context_id is None:
            return [(Extent(0, self.size), 0)] if self.size else []
        found: list[tuple[Extent, int]] = []
        at = 0
        while at < self.size:
            handle, span = next(self._handles), min(STATUS_SPAN, self.size - at)
            self.sock.sendall(struct.pack(">IHHQQI", _REQUEST, 0, _STATUS, handle, at, span))
            for length, flags in self._runs(handle):
                end = min(at + length, self.size)
                if found and found[-1][1] == flags:
                    found[-1] = (Extent(found[-1][0].start, end), flags)
                else:
                    found.append((Extent(at, end), flags))
                at = end
                if at >= self.size:
                    break
        return found

    def _runs(self, handle: int) -> list[tuple[int, int]]:
        runs: list[tuple[int, int]] = []
        while True:
            magic, flags, kind, about, size = struct.unpack(">IHHQI", self._bytes(20))
            if magic != _CHUNK or about != handle or size > MOST_OPTION * 16:
                raise NbdError("the server answers what was not asked")
            if kind & _FAILED:
                raise NbdError(self._failure(size), meant=True)
            data = self._bytes(size)
            if kind == _BLOCK_STATUS and size >= 12 and (size - 4) % 8 == 0:
                if struct.unpack_from(">I", data)[0] == self.context_id:
                    runs += struct.iter_unpack(">II", data[4:])
                if len(runs) > MOST_RUNS:
                    raise NbdError("a block status that has no end")
            elif size:
                raise NbdError(f"a chunk of type {kind} answers a block status")
            if flags & _DONE:
                break
        if not runs or any(length == 0 for length, _ in runs):
            raise NbdError("a block status that does not advance")
        return runs

    def _failure(self, size: int) -> str:
        if not 6 <= size <= MOST_OPTION:
            return "the server reports an error without a reason"
        data = self._bytes(size)
        error, length = struct.unpack_from(">IH", data)
        return f"error {error}: {data[6 : 6 + length].decode(errors='replace')}"

    # -- bytes

    def _bytes(self, length: int) -> bytes:
        data = bytearray(length)
        self._fill(memoryview(data))
        return bytes(data)

    def _fill(self, view: memoryview) -> None:
        at = 0
        while at < len(view):
            with view[at:] as rest:
                count = self.sock.recv_into(rest)
            if not count:
                raise ConnectionError("the server hung up")
            at += count

    def close(self) -> None:
        """Say goodbye, if anybody hears it."""
        with contextlib.suppress(OSError):
            self.sock.settimeout(1.0)
            self.sock.sendall(struct.pack(">IHHQQI", _REQUEST, 0, _DISC, 0, 0, 0))
        self.sock.close()


def _came(missing: list[Extent], start: int, end: int) -> None:
    """Take a chunk off what is missing: each byte comes once, so that none keeps what was in the buffer before."""
    at = bisect_right(missing, start, key=lambda each: each.start) - 1
    if start >= end or at < 0 or end > missing[at].end:
        raise NbdError("a chunk lies outside of what was asked for, or comes twice")
    gap = missing[at]
    missing[at : at + 1] = [each for each in (Extent(gap.start, start), Extent(end, gap.end)) if each.length]


def _dialled(address: NbdAddress) -> socket.socket:
    if address.unix:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(CONNECT_SECONDS)
        try:
            sock.connect(address.unix)
        except BaseException:
            sock.close()
            raise
        return sock
    sock = socket.create_connection((address.host, address.port), CONNECT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _told(kind: int, data: bytes) -> str:
    return data.decode(errors="replace")[:200] or f"error {kind & ~_ERROR}"
