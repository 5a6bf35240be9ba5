"""A file on an NFSv3 export, read without mounting it (RFC 1813): portmapper, MOUNT, LOOKUP, READ."""

import contextlib
import math
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from disks.asking import Asked
from disks.waiting import Waited
from platforms.vsphere.transports.rpc import SILENCE_SECONDS, Answer, RpcConnection, RpcError, opaque

PORTMAPPER, MOUNT, NFS = 100000, 100005, 100003
CONNECTIONS = 4
MOST_READ = 1 << 20
LEAST_READ = 4096
TRIES = 5
PAUSE = 0.2
"""Seconds before the second try, doubled each time."""
OPENING_SECONDS = 5.0
"""For one answer, and for all tries, while a file is opened: a machine is frozen or off meanwhile, and others serve."""
_ATTRIBUTES = 84
_REGULAR = 1
_JUKEBOX, _IO = 10008, 5
_TOLD = {
    1: "not permitted", 2: "not there", 5: "an I/O error of the server", 13: "access denied", 20: "not a folder",
    70: "the handle is stale", 10001: "a bad handle", 10008: "the server is busy",
}  # fmt: skip
_SPELLING = "nfs://host/path, with nfsport=, mountport=, uid=, gid= where they are needed"
Result = TypeVar("Result")
_Wanted = dict[int, tuple[int, int]]
"""Number of a READ to its place in the buffer and its length."""


class NfsError(Exception):
    """``meant``: trying again is no use."""

    def __init__(self, told: str, *, meant: bool) -> None:
        super().__init__(told)
        self.meant = meant


@dataclass(frozen=True)
class Export:
    """``nfs://host/path``; ``?nfsport=&mountport=&uid=&gid=`` as libnfs has them (no portmapper is asked then)."""

    host: str
    path: str
    nfs_port: int = 0
    mount_port: int = 0
    uid: int = 0
    gid: int = 0

    @staticmethod
    def parse(url: str) -> "Export":
        """Raises :class:`NfsError` for what is no such URL."""
        parts = urlsplit(url)
        try:
            said = {key: int(value) for key, value in parse_qsl(parts.query, strict_parsing=bool(parts.query))}
            if parts.scheme != "nfs" or not parts.hostname or not set(said) <= {"nfsport", "mountport", "uid", "gid"}:
                raise ValueError
        except ValueError:
            raise NfsError(f"{url}: an export is written {_SPELLING}", meant=True) from None
        return Export(
            parts.hostname, unquote(parts.path) or "/", said.get("nfsport", 0), said.get("mountport", 0),
            said.get("uid", 0), said.get("gid", 0),
        )  # fmt: skip


class NfsFile:
    """An open file. ``read_into`` may be called from several threads.

    Raises:
        NfsError: from the constructor and from ``read_into``.
    """

    def __init__(self, export: Export, path: Sequence[str]) -> None:
        self._export = export
        self._lock = threading.Lock()
        self._idle: list[RpcConnection] = []
        self._closed = False
        self._waited = Waited()
        self._asked = Asked[tuple[RpcConnection, _Wanted]](lambda asked: asked[0].close(), CONNECTIONS)
        self._port = export.nfs_port
        until = time.monotonic() + OPENING_SECONDS
        self._handle, self.size, self._most = self._tried(lambda: self._found(path), until)

    def ask(self, offset: int, length: int) -> None:
        """Send the READs; what goes wrong with them shows when they are read."""
        try:
            connection = self._take()
        except (OSError, RpcError):
            return
        try:
            self._asked.put(offset, length, (connection, self._send(connection, offset, length)))
        except OSError:
            connection.close()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer; what may pass is tried again a few times."""

        def read() -> None:
            asked = self._asked.take(offset, len(buffer))
            if asked is not None:
                self._with(asked[0], lambda connection: self._receive(connection, offset, buffer, asked[1]))
                return
            self._with(
                self._take(),
                lambda connection: self._receive(
                    connection, offset, buffer, self._send(connection, offset, len(buffer))
                ),
            )

        self._tried(read)

    def hang_up(self) -> None:
        """End whatever waits, from another thread; nothing is read any more."""
        self._waited.hang_up()

    def close(self) -> None:
        """Hang up."""
        self._asked.drop()
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()

    def _tried(self, work: Callable[[], Result], until: float = math.inf) -> Result:
        for attempt in range(1, TRIES + 1):
            try:
                return work()
            except RpcError as error:
                if error.meant or attempt == TRIES or time.monotonic() > until:
                    raise NfsError(str(error), meant=error.meant) from None
            except NfsError as error:
                if error.meant or attempt == TRIES or time.monotonic() > until:
                    raise
            except OSError as error:
                if attempt == TRIES or time.monotonic() > until:
                    raise NfsError(f"{type(error).__name__}: {error.strerror or error}", meant=False) from None
            if self._waited.over.wait(PAUSE * 2 ** (attempt - 1)):
                raise NfsError("it was hung up", meant=False)
        raise AssertionError("unreachable")

    def _take(self) -> RpcConnection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._dial(self._port, NFS, 3)

    def _with(self, connection: RpcConnection, work: Callable[[RpcConnection], Result]) -> Result:
        try:
            with self._waited.on(connection.sock):
                result = work(connection)
        except BaseException:
            connection.close()  # answers that are still to come must not be taken for the next one's
            raise
        with self._lock:
            if not self._closed and len(self._idle) < CONNECTIONS:
                self._idle.append(connection)
                return result
        connection.close()
        return result

    def _dial(self, port: int, program: int, version: int, *, silence: float = SILENCE_SECONDS) -> RpcConnection:
        export = self._export
        return RpcConnection(export.host, port, program, version, uid=export.uid, gid=export.gid, silence=silence)

    def _found(self, path: Sequence[str]) -> tuple[bytes, int, int]:
        """The file's handle, its size, and how much one READ may ask for."""
        export = self._export
        self._port = export.nfs_port or self._ask_port(NFS)
        handle = self._mounted(export.mount_port or self._ask_port(MOUNT))

        def look(connection: RpcConnection) -> tuple[bytes, int, int]:
            found = handle
            for name in path:
                answer = connection.call(3, opaque(found) + opaque(name.encode()))
                _check(answer.word(), name)
                found = answer.opaque(64)
                answer.end()
            answer = connection.call(1, opaque(found))
            _check(answer.word(), path[-1])
            kind = answer.word()
            answer.take(16)
            size = answer.long()
            answer.end()
            if kind != _REGULAR:
                raise NfsError(f"{path[-1]} is no file", meant=True)
            answer = connection.call(19, opaque(handle))
            _check(answer.word(), "FSINFO")
            _pass_attributes(answer)
            most = answer.word()
            answer.end()
            return found, size, max(LEAST_READ, min(MOST_READ, most))

        connection = self._dial(self._port, NFS, 3, silence=OPENING_SECONDS)
        opened = self._with(connection, look)
        connection.sock.settimeout(SILENCE_SECONDS)
        return opened

    def _ask_port(self, program: int) -> int:
        with contextlib.closing(self._dial(111, PORTMAPPER, 2, silence=OPENING_SECONDS)) as connection:
            port = connection.call(3, struct.pack(">4I", program, 3, 6, 0)).word()
        if not 0 < port < 65536:
            raise NfsError(
                f"{self._export.host} serves no {'NFSv3' if program == NFS else 'MOUNT'} over TCP", meant=True
            )
        return port

    def _mounted(self, port: int) -> bytes:
        with contextlib.closing(self._dial(port, MOUNT, 3, silence=OPENING_SECONDS)) as connection:
            answer = connection.call(1, opaque(self._export.path.encode()))
            _check(answer.word(), self._export.path)
            return answer.opaque(64)

    def _send(self, connection: RpcConnection, offset: int, length: int) -> _Wanted:
        """All READs of a buffer at once."""
        return {
            self._send_one(connection, offset + at, min(self._most, length - at)): (at, min(self._most, length - at))
            for at in range(0, length, self._most)
        }

    def _send_one(self, connection: RpcConnection, offset: int, length: int) -> int:
        return connection.send(6, opaque(self._handle) + struct.pack(">QI", offset, length))

    def _receive(self, connection: RpcConnection, offset: int, buffer: memoryview, wanted: _Wanted) -> None:
        """Their answers, in any order; where a server answers fewer bytes, the rest is asked for."""
        while wanted:
            number, answer = connection.receive()
            if number not in wanted:
                raise RpcError("the server answers what was not asked")
            at, length = wanted.pop(number)
            _check(answer.word(), "READ")
            _pass_attributes(answer)
            count, _, told = answer.word(), answer.word(), answer.word()
            if count != told or not 0 < count <= length:
                raise NfsError(f"it answers {count} of {length} bytes at {offset + at}", meant=count == 0)
            with buffer[at : at + count] as view:
                answer.fill(view)
            answer.end()
            if count < length:
                left = length - count
                wanted[self._send_one(connection, offset + at + count, left)] = (at + count, left)


def _pass_attributes(answer: Answer) -> None:
    if answer.word():
        answer.take(_ATTRIBUTES)


def _check(status: int, what: str) -> None:
    if status:
        told = _TOLD.get(status, f"NFS error {status}")
        raise NfsError(f"{what}: {told}", meant=status not in (_JUKEBOX, _IO))
