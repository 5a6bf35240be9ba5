"""What an NBD server may answer, in any order and any chunks: our client puts each byte where it belongs."""

import itertools
import random
import struct
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import disks.nbd_connection
from disks.extents import Extent
from disks.nbd_connection import NbdAddress, NbdConnection, NbdError

SIZE = (2 << 20) + 512
GRAIN = 4096
CONTENT = b"".join(
    random.Random(at).randbytes(GRAIN) if at % 3 else bytes(GRAIN) for at in range(-(-SIZE // GRAIN))
)[:SIZE]  # fmt: skip
_REQUEST = struct.Struct(">IHHQQI")


class Server:
    """A server of the protocol as a socket has it: what it answers, and how its bytes come, is up to chance."""

    def __init__(self, chance: random.Random, *, structured: bool) -> None:
        self._chance, self._structured = chance, structured
        self._said = bytearray(struct.pack(">8sQH", b"NBDMAGIC", 0x49484156454F5054, 3))
        self._parts: list[list[bytes]] = []  # of each request that is open, in the order of its own
        self._handshake = True
        self.asked = 0

    def sendall(self, data: bytes) -> None:
        if self._handshake and len(data) > 4:
            return self._option(*struct.unpack_from(">QII", data), data[16:])
        while len(data) >= _REQUEST.size and not self._handshake:
            _, _, kind, handle, offset, length = _REQUEST.unpack_from(data)
            data = data[_REQUEST.size :]
            self.asked += kind == 0
            self._parts.append(self._read(handle, offset, length) if kind == 0 else self._status(handle, length))
        return None

    def recv_into(self, view: memoryview, length: int = 0) -> int:
        while not self._said and self._parts:
            parts = self._chance.choice(self._parts)
            self._said += parts.pop(0)
            self._parts = [each for each in self._parts if each]
        count = min(length or len(view), len(self._said), self._chance.choice((1, 7, 4096, 1 << 20)))
        view[:count] = self._said[:count]
        del self._said[:count]
        return count

    def settimeout(self, seconds: float) -> None: ...

    def close(self) -> None: ...

    def _option(self, _: int, option: int, __: int, ___: bytes) -> None:
        def reply(kind: int, data: bytes = b"") -> None:
            self._said += struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data

        if not self._structured and option != 7:
            return reply(1 << 31 | 1)
        if option == 10:
            reply(4, struct.pack(">I", 9) + b"base:allocation")
        if option == 7:
            reply(3, struct.pack(">HQH", 0, SIZE, 1))
            self._handshake = False
        return reply(1)

    def _read(self, handle: int, offset: int, length: int) -> list[bytes]:
        if not self._structured:
            return [struct.pack(">IIQ", 0x67446698, 0, handle) + CONTENT[offset : offset + length]]
        parts, at = [], offset
        while at < offset + length:
            count = min(offset + length - at, GRAIN * self._chance.randrange(1, 60))
            data = CONTENT[at : at + count]
            if any(data):
                parts.append(self._chunk(0, 1, handle, struct.pack(">Q", at) + data))
            else:
                parts.append(self._chunk(0, 2, handle, struct.pack(">QI", at, count)))
            at += count
        self._chance.shuffle(parts)
        return [*parts, self._chunk(1, 0, handle, b"")]

    def _status(self, handle: int, length: int) -> list[bytes]:
        runs, at = b"", 0
        while at < length:
            count = min(length - at, GRAIN)
            runs += struct.pack(">II", count, 0 if any(CONTENT[at : at + count]) else 3)
            at += count
        return [self._chunk(1, 5, handle, struct.pack(">I", 9) + runs)]

    def _chunk(self, flags: int, kind: int, handle: int, data: bytes) -> bytes:
        return struct.pack(">IHHQI", 0x668E33EF, flags, kind, handle, len(data)) + data


def connected(server: Server) -> NbdConnection:
    with patch.object(disks.nbd_connection, "_dialled", lambda address: server):
        return NbdConnection(NbdAddress(host="nbd.example"), "base:allocation")


@given(st.booleans(), st.integers(0, 1 << 30), st.data())
@settings(max_examples=150, deadline=None)
def test_each_byte_lands_where_it_belongs(structured, seed, data):
    server = Server(random.Random(seed), structured=structured)
    connection = connected(server)
    for _ in range(3):
        offset = 512 * data.draw(st.integers(0, SIZE // 512 - 1))
        length = min(SIZE - offset, 512 * data.draw(st.integers(1, 4096)))
        buffer = bytearray(b"\xee" * (length + 2))
        with memoryview(buffer) as around, around[1:-1] as view:
            connection.receive(offset, view, connection.send_reads(offset, length))

        assert buffer[1:-1] == CONTENT[offset : offset + length]
        assert buffer[0] == buffer[-1] == 0xEE
    assert server.asked >= 3


class Stuttering(Server):
    """In place of one chunk it sends another a second time: as many bytes, and not all of them."""

    def _read(self, handle: int, offset: int, length: int) -> list[bytes]:
        return [
            self._chunk(0, 1, handle, struct.pack(">Q", offset) + CONTENT[offset : offset + length // 2]),
            self._chunk(0, 1, handle, struct.pack(">Q", offset) + CONTENT[offset : offset + length // 2]),
            self._chunk(1, 0, handle, b""),
        ]


def test_a_chunk_that_comes_twice_in_place_of_another_is_refused():
    connection = connected(Stuttering(random.Random(1), structured=True))

    with pytest.raises(NbdError, match="comes twice"):
        connection.receive(0, memoryview(bytearray(8192)), connection.send_reads(0, 8192))


@given(st.integers(0, 1 << 30))
@settings(max_examples=20, deadline=None)
def test_its_extents_are_what_is_not_zeros(seed):
    runs = connected(Server(random.Random(seed), structured=True)).status()

    assert runs[0][0].start == 0
    assert all(one[0].end == other[0].start and one[1] != other[1] for one, other in itertools.pairwise(runs))
    assert runs[-1][0].end == SIZE
    for extent, flags in runs:
        assert bool(flags & 2) == (not any(CONTENT[extent.start : extent.end]))
    assert Extent(0, GRAIN) == runs[0][0]
