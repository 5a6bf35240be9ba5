"""ONC RPC over TCP (RFC 5531), as much of it as reading over NFSv3 takes: calls pipelined, answers in any order.

What the other side sends is bounded: a record, a string, a handle. The bytes of an answer go straight into the
caller's buffer.
"""

import itertools
import os
import random
import socket
import struct
import time
from collections.abc import Iterator

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
MOST_RECORD = (8 << 20) + 4096
LAST = 0x80000000
_AUTH_SYS = 1
_SECURE_PORTS = range(665, 1024)


class RpcError(Exception):
    """The call was not carried out. ``meant``: asking again is no use."""

    def __init__(self, told: str, *, meant: bool = True) -> None:
        super().__init__(told)
        self.meant = meant


def opaque(data: bytes) -> bytes:
    """XDR of variable-length bytes."""
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


class Answer:
    """One record, read piece by piece from the socket, whatever fragments it comes in."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._left, self._last, self._total = 0, False, 0

    def word(self) -> int:
        """An unsigned integer of 32 bits."""
        return int.from_bytes(self.take(4), "big")

    def long(self) -> int:
        """An unsigned integer of 64 bits."""
        return int.from_bytes(self.take(8), "big")

    def take(self, length: int) -> bytes:
        """Exactly that many bytes."""
        data = bytearray(length)
        self.fill(memoryview(data))
        return bytes(data)

    def opaque(self, most: int) -> bytes:
        """Bytes of variable length."""
        length = self.word()
        if length > most:
            raise RpcError(f"{length} bytes where at most {most} can be")
        return self.take(length + -length % 4)[:length]

    def fill(self, view: memoryview) -> None:
        """Read into a buffer."""
        at = 0
        while at < len(view):
            if not self._left:
                self._next_fragment()
                continue
            count = self._sock.recv_into(view[at:], min(self._left, len(view) - at))
            if not count:
                raise ConnectionError("the server hung up in an answer")
            at += count
            self._left -= count

    def end(self) -> None:
        """Pass over whatever is left of the record."""
        while self._left or not self._last:
            if not self._left:
                self._next_fragment()
            self.take(min(self._left, 64 << 10))

    def _next_fragment(self) -> None:
        if self._last:
            raise RpcError("the answer is shorter than it must be")
        mark = bytearray(4)
        got = 0
        while got < 4:
            count = self._sock.recv_into(memoryview(mark)[got:])
            if not count:
                raise ConnectionError("the server hung up")
            got += count
        word = int.from_bytes(mark, "big")
        self._last, self._left = bool(word & LAST), word & ~LAST
        self._total += self._left + len(mark)  # the mark too: an endless row of empty fragments has an end
        if self._total > MOST_RECORD:
            raise RpcError(f"an answer of {self._total} bytes or more")


class RpcConnection:
    """One program of one server; used by one thread at a time."""

    def __init__(
        self, host: str, port: int, program: int, version: int, *, uid: int = 0, gid: int = 0,
        silence: float = SILENCE_SECONDS,
    ) -> None:  # fmt: skip
        self._program, self._version = program, version
        self._numbers = itertools.count(int(time.time()) & 0xFFFFFF)
        who = struct.pack(">I", int(time.time())) + opaque(b"ferry") + struct.pack(">III", uid, gid, 0)
        self._who = struct.pack(">I", _AUTH_SYS) + opaque(who) + bytes(8)
        self.sock = _connected(host, port, min(CONNECT_SECONDS, silence))
        self.sock.settimeout(silence)

    def call(self, procedure: int, arguments: bytes) -> Answer:
        """Ask, and wait; the answer stands behind its RPC head."""
        number = self.send(procedure, arguments)
        found, answer = self.receive()
        if found != number:
            raise RpcError("the server answers what was not asked")
        return answer

    def send(self, procedure: int, arguments: bytes) -> int:
        """Ask without waiting; the number by which its answer is known."""
        number = next(self._numbers) & 0xFFFFFFFF
        body = struct.pack(">6I", number, 0, 2, self._program, self._version, procedure) + self._who + arguments
        self.sock.sendall(struct.pack(">I", LAST | len(body)) + body)
        return number

    def receive(self) -> tuple[int, Answer]:
        """The next answer that comes, with the number of its call."""
        answer = Answer(self.sock)
        number, kind, state = answer.word(), answer.word(), answer.word()
        if kind != 1:
            raise RpcError("that is no answer")
        if state != 0:
            raise RpcError("the server refuses the credentials (AUTH_SYS)")
        answer.word()
        answer.opaque(400)
        accepted = answer.word()
        if accepted != 0:
            told = {1: "it has no such program", 2: "it speaks no such version", 3: "it has no such procedure"}
            raise RpcError(told.get(accepted, f"RPC error {accepted}"), meant=accepted != 5)
        return number, answer

    def close(self) -> None:
        """Hang up."""
        self.sock.close()


def _connected(host: str, port: int, patience: float) -> socket.socket:
    """From a port below 1024 where we may: exports are "secure" by default."""
    if os.geteuid() == 0:
        for own in _some_ports():
            try:
                return _ready(socket.create_connection((host, port), patience, source_address=("", own)))
            except OSError as error:
                if error.errno not in (98, 99, 13, 1):  # EADDRINUSE, EADDRNOTAVAIL, EACCES, EPERM
                    raise
    return _ready(socket.create_connection((host, port), patience))


def _some_ports() -> Iterator[int]:
    yield from random.sample(_SECURE_PORTS, 20)


def _ready(sock: socket.socket) -> socket.socket:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock
