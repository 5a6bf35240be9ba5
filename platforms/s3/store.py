"""The store in a bucket, the same as in a folder but for what an object store cannot do: append, and write in parts.

<prefix>/store.json                                     {"id": "..."}
<prefix>/migrations/<migration>/<disk>/journal/<n>      the lines of its group up to line n
<prefix>/migrations/<migration>/<disk>/plan-<n>.json    the extents of one pass
<prefix>/migrations/<migration>/<disk>/manifest         the header of the digests
<prefix>/migrations/<migration>/<disk>/manifest.d/<n>   the digests, 4096 of them an object (see platforms.s3.cells)

A line is an object of its own that only one writer can create, so that two who append at once make two lines. It
repeats the lines of its group of 64 that came before it: a reader fetches one object a group.
"""

import json
import uuid

from contracts.errors import FerryError
from disks.store import checked_name
from platforms.s3.bucket import Bucket
from platforms.s3.cells import BucketCells

GROUP = 64
"""Lines that one object may hold; a journal of 9,000 lines (3 TiB) is read with 141 requests."""


class S3Store:
    """A bucket, or a prefix in it, that all workers of one queue share.

    Raises:
        FerryError: ``store.unwritable`` when it cannot be reached; ``store.unconditional`` when it puts an object
            over one that it was told not to touch: two workers could then both believe that a disk is theirs.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._check_conditions()
        key = "store.json"
        bucket.create(key, json.dumps({"id": uuid.uuid4().hex}).encode())  # another worker's id holds
        found = bucket.get(key)
        try:
            self.id = str(json.loads(found[0])["id"]) if found else ""
        except (ValueError, KeyError, TypeError):
            self.id = ""
        if not self.id:
            raise FerryError("store.damaged", f"{bucket.where}{key} does not tell the store's id")

    def disk(self, migration: str, disk_id: str) -> "S3Shelf":
        """The objects of one disk of one migration."""
        return S3Shelf(self._bucket, f"migrations/{checked_name(migration)}/{checked_name(disk_id)}/")

    def migrations(self) -> list[str]:
        """One request for each: what lies under a migration is passed over."""
        found: list[str] = []
        after = ""
        while key := next(iter(self._bucket.keys("migrations/", after=after)), None):
            found.append(key.split("/")[1])
            after = f"migrations/{found[-1]}0"  # the character after the slash
        return found

    def _check_conditions(self) -> None:
        key = f"probe-{uuid.uuid4().hex}"  # its own: another worker may be starting, too
        etag = self._bucket.put(key, b"first")
        created = self._bucket.create(key, b"second")
        replaced = self._bucket.replace(key, b"third", '"00000000000000000000000000000000"')
        heeded = not created and not replaced and self._bucket.replace(key, b"fourth", etag)
        self._bucket.delete(key)
        if not heeded:
            raise FerryError(
                "store.unconditional", f"{self._bucket.where} does not heed If-None-Match and If-Match when writing"
            )


class S3Shelf:
    """One disk's objects."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket, self._prefix = bucket, prefix
        self._lines: list[bytes] = []
        """The journal as far as it was read: whole groups, and the newest object of the last one."""
        self._next = 0

    def journal(self) -> bytes:
        """All lines."""
        self._catch_up()
        return b"".join(self._lines)

    def append(self, line: bytes) -> None:
        """Add a line after all that others appended."""
        while True:
            group = self._next // GROUP
            before = self._lines[group] if group < len(self._lines) else b""
            if self._bucket.create(self._line_key(self._next), before + line):
                self._lines[group:] = [before + line]
                self._next += 1
                return
            if not self._catch_up():
                raise FerryError("store.damaged", f"line {self._next} of {self._prefix} is there and is not listed")

    def read(self, name: str) -> bytes | None:
        """An object's bytes."""
        found = self._bucket.get(self._prefix + name)
        return found[0] if found else None

    def write(self, name: str, content: bytes) -> None:
        """An object, in place of what was there."""
        self._bucket.put(self._prefix + name, content)

    def has_cells(self, name: str) -> bool:
        """Whether their header is there."""
        return self._bucket.get(self._prefix + name) is not None

    def cells(self, name: str, header: bytes, size: int) -> BucketCells:
        """Their header, and shards of them where somebody wrote."""
        self._bucket.create(self._prefix + name, header)
        found = self._bucket.get(self._prefix + name)
        if found is None:
            raise FerryError("store.damaged", f"{self._prefix}{name} is gone")
        return BucketCells(self._bucket, f"{self._prefix}{name}.d/", found[0], size)

    def _catch_up(self) -> bool:
        """Read what was appended since; whether there was anything."""
        known = self._line_key(self._next - 1) if self._next else ""
        newest: dict[int, int] = {}
        for key in self._bucket.keys(f"{self._prefix}journal/", after=known):
            name = key.rpartition("/")[2]
            if not name.isdecimal():
                raise FerryError("store.damaged", f"{key} is no line of a journal")
            newest[int(name) // GROUP] = int(name)
        for group, number in sorted(newest.items()):
            found = self._bucket.get(self._line_key(number))
            last_of_group = number % GROUP == GROUP - 1 or group == max(newest)
            if found is None or not last_of_group or group > len(self._lines):
                raise FerryError("store.damaged", f"{self._prefix}journal lacks lines about {number}")
            self._lines[group:] = [found[0]]
            self._next = number + 1
        return bool(newest)

    def _line_key(self, number: int) -> str:
        return f"{self._prefix}journal/{number:012d}"
