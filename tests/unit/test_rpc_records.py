"""What an NFSv3 server may answer: in any fragments, in any order, and less than was asked for."""

import random
import struct
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

import platforms.vsphere.transports.rpc
from platforms.vsphere.transports.nfs3 import Export, NfsFile

SIZE = (3 << 20) + 512
CONTENT = random.Random(3).randbytes(SIZE)
MOST = 64 << 10
ATTRIBUTES = struct.pack(">5I", 1, 0o644, 1, 0, 0) + struct.pack(">2Q", SIZE, SIZE) + bytes(48)


class Server:
    """A server as a socket has it; how it answers is up to chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._said = bytearray()
        self._answers: list[bytes] = []

    def sendall(self, call: bytes) -> None:
        number, _, _, _, _, procedure = struct.unpack_from(">6I", call, 4)
        at = 4 + 24 + 8 + struct.unpack_from(">I", call, 4 + 24 + 4)[0] + 8  # behind credentials and verifier
        arguments = call[at:]
        body = {3: self._lookup, 1: self._attributes, 19: self._info, 6: self._read}[procedure](arguments)
        self._answers.append(self._fragmented(struct.pack(">6I", number, 1, 0, 0, 0, 0) + body))

    def recv_into(self, view: memoryview, length: int = 0) -> int:
        if not self._said and self._answers:
            self._said += self._answers.pop(self._chance.randrange(len(self._answers)))
        count = min(length or len(view), len(view), len(self._said), self._chance.choice((1, 5, 1000, 1 << 20)))
        view[:count] = self._said[:count]
        del self._said[:count]
        return count

    def settimeout(self, seconds: float) -> None: ...

    def close(self) -> None: ...

    def _fragmented(self, record: bytes) -> bytes:
        said = b""
        while len(record) > 1 and self._chance.random() < 0.5:
            length = self._chance.randrange(len(record))
            said += struct.pack(">I", length) + record[:length]
            record = record[length:]
        return said + struct.pack(">I", 1 << 31 | len(record)) + record

    def _lookup(self, _: bytes) -> bytes:
        handle = struct.pack(">I", 8) + b"a handle"
        return struct.pack(">I", 0) + handle + struct.pack(">I", 1) + ATTRIBUTES + struct.pack(">I", 0)

    def _attributes(self, _: bytes) -> bytes:
        return struct.pack(">I", 0) + ATTRIBUTES

    def _info(self, _: bytes) -> bytes:
        return struct.pack(">6I", 0, 0, MOST, MOST, 1, MOST) + bytes(32)

    def _read(self, arguments: bytes) -> bytes:
        offset, count = struct.unpack_from(">QI", arguments, 12)
        count = min(count, SIZE - offset)
        if count > 512 and self._chance.random() < 0.3:
            count = self._chance.randrange(1, count)
        given = b"" if self._chance.random() < 0.5 else ATTRIBUTES
        head = struct.pack(">II", 0, bool(given)) + given + struct.pack(">3I", count, 0, count)
        return head + CONTENT[offset : offset + count] + bytes(-count % 4)


@given(st.integers(0, 1 << 30), st.data())
@settings(max_examples=150, deadline=None)
def test_each_byte_lands_where_it_belongs(seed, data):
    rpc = platforms.vsphere.transports.rpc
    server = Server(random.Random(seed))
    with (
        patch.object(rpc, "_connected", lambda *where: server),
        patch.object(NfsFile, "_mounted", lambda self, port: b"root"),
    ):
        file = NfsFile(Export(host="nas.example", path="/e", nfs_port=2049, mount_port=2050), ["web01", "flat"])
        assert file.size == SIZE
        for _ in range(3):
            offset = data.draw(st.integers(0, SIZE - 1))
            length = min(SIZE - offset, data.draw(st.integers(1, 1 << 20)))
            buffer = bytearray(b"\xee" * (length + 2))
            with memoryview(buffer) as around, around[1:-1] as view:
                file.read_into(offset, view)

            assert buffer[1:-1] == CONTENT[offset : offset + length]
            assert buffer[0] == buffer[-1] == 0xEE
