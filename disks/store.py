"""The store: manifests, plans and journals, outside Temporal (SAFETY 1, 6).

A folder (``disks.folder_store``) or a bucket (``platforms.s3``). Both promise the same: what a call wrote is durable
when it returns and there whole or not at all, and a line that two writers append at once becomes two lines.
"""

from collections.abc import Iterable
from typing import Protocol

from contracts.errors import FerryError


class Cells(Protocol):
    """A long row of bytes, zeros where nobody wrote."""

    header: bytes
    """What it was made with."""

    def read(self, at: int, size: int) -> bytes:
        """That many bytes."""

    def write(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Write each piece at its place; all are durable when this returns."""

    def close(self) -> None:
        """Give back what it holds."""


class Shelf(Protocol):
    """The place of one disk of one migration.

    Raises:
        FerryError: ``store.unwritable`` by each call, ``store.damaged`` by those that read.
    """

    def journal(self) -> bytes:
        """All lines, in the order in which they were appended."""

    def append(self, line: bytes) -> None:
        """Add a whole line, which ends with a newline, after all that others appended."""

    def read(self, name: str) -> bytes | None:
        """What is under that name, if anything is."""

    def write(self, name: str, content: bytes) -> None:
        """Put it under that name, in place of what was there."""

    def has_cells(self, name: str) -> bool:
        """Whether cells of that name were made."""

    def cells(self, name: str, header: bytes, size: int) -> Cells:
        """The cells of that name; made with this header and room for that many bytes where there are none."""


class Store(Protocol):
    """What all workers of one queue share."""

    id: str

    def disk(self, migration: str, disk_id: str) -> Shelf:
        """The place of one disk of one migration."""

    def migrations(self) -> list[str]:
        """Ids of all migrations that something is kept of."""


def check_identity(store: Store, expected: str) -> None:
    """Raises ``store.mismatch`` when a migration began with another store (SAFETY 6)."""
    if expected != store.id:
        raise FerryError("store.mismatch", f"the migration began with store {expected}; this worker has {store.id}")


def checked_name(name: str) -> str:
    """A name that cannot leave its place in the store."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is no name of a folder")
    return name
