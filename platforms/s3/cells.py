"""Cells in shards of 128 KiB, an object each; a shard that nobody wrote is zeros and is no object."""

from collections import OrderedDict
from collections.abc import Iterable

from contracts.errors import FerryError
from platforms.s3.bucket import Bucket

SHARD = 128 << 10
"""Bytes: the digests of 1 GiB of disk."""
CACHED = 32
"""Shards in memory: 4 MiB a disk."""
TRIES = 20


class BucketCells:
    """One writer at a time; of two, each has what it wrote kept: a shard is replaced only as it was seen."""

    def __init__(self, bucket: Bucket, prefix: str, header: bytes, size: int) -> None:
        self.header = header
        self._bucket, self._prefix, self._size = bucket, prefix, size
        self._present = set(bucket.keys(prefix))
        self._cache: OrderedDict[int, tuple[bytes, str]] = OrderedDict()

    def read(self, at: int, size: int) -> bytes:
        """That many bytes."""
        found = bytearray()
        while len(found) < size:
            number, offset = divmod(at + len(found), SHARD)
            found += self._shard(number)[0][offset : offset + size - len(found)]
        return bytes(found)

    def write(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Write each piece at its place; durable when this returns. No piece crosses a shard's end."""
        by_shard: dict[int, list[tuple[int, bytes]]] = {}
        for at, piece in pieces:
            by_shard.setdefault(at // SHARD, []).append((at % SHARD, piece))
        for number, within in by_shard.items():
            self._write_shard(number, within)

    def close(self) -> None:
        """Nothing is open."""

    def _write_shard(self, number: int, pieces: list[tuple[int, bytes]]) -> None:
        for _ in range(TRIES):
            before, etag = self._shard(number)
            after = bytearray(before)
            for at, piece in pieces:
                after[at : at + len(piece)] = piece
            if after == before:
                return
            content, key = bytes(after), self._key(number)
            put = self._bucket.replace(key, content, etag) if etag else self._bucket.create(key, content)
            self._present.add(key)
            if put:
                self._keep(number, content, put)
                return
            self._cache.pop(number, None)  # another writer was here: what it wrote stays
        raise FerryError("store.unwritable", f"{self._key(number)} is written by somebody else all the time")

    def _shard(self, number: int) -> tuple[bytes, str]:
        """Its bytes and etag; zeros and an empty one where it is no object."""
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        length = min(SHARD, self._size - number * SHARD)
        found = self._bucket.get(self._key(number)) if self._key(number) in self._present else None
        if found is not None and len(found[0]) != length:
            raise FerryError("store.damaged", f"{self._key(number)} has {len(found[0])} bytes, not {length}")
        return self._keep(number, *(found or (bytes(length), "")))

    def _keep(self, number: int, content: bytes, etag: str) -> tuple[bytes, str]:
        self._cache[number] = content, etag
        self._cache.move_to_end(number)
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return content, etag

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:06d}"
