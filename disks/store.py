"""The store: manifests, plans and journals in a folder, outside Temporal (SAFETY 1, 6).

<store>/store.json                                   {"id": "..."}
<store>/migrations/<migration>/<disk>/journal.jsonl  what was promised and kept, one line an event
<store>/migrations/<migration>/<disk>/plan-<n>.json  the extents of one pass
<store>/migrations/<migration>/<disk>/manifest       digests of the blocks (see disks.manifest)
"""

import json
import os
import uuid
from pathlib import Path

from contracts.errors import FerryError


class Store:
    """A folder that all workers of one queue share.

    Raises:
        FerryError: ``store.unwritable`` when the folder cannot be made or read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.id = self._identity(folder / "store.json")
        except OSError as error:
            raise FerryError("store.unwritable", f"{folder}: {error.strerror}") from None

    def check(self, expected: str) -> None:
        """Raises ``store.mismatch`` when a migration began with another store (SAFETY 6)."""
        if expected != self.id:
            raise FerryError("store.mismatch", f"the migration began with store {expected}; this worker has {self.id}")

    def disk(self, migration: str, disk_id: str) -> Path:
        """The folder of one disk of one migration, made if need be."""
        folder = self.folder / "migrations" / _word(migration) / _word(disk_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @staticmethod
    def _identity(file: Path) -> str:
        """The id in the file; the first worker to come writes it, and a second cannot write another."""
        if not file.exists():
            draft = file.with_name(f".store-{uuid.uuid4().hex}")
            write_durably(draft, json.dumps({"id": uuid.uuid4().hex}).encode())
            try:
                os.link(draft, file)  # fails where another worker was faster: then its id holds
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return str(json.loads(file.read_text())["id"])


def write_durably(file: Path, content: bytes) -> None:
    """Write a file so that it is there whole, or not at all, after a crash."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    with draft.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or a new file in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _word(name: str) -> str:
    """A name that cannot leave the store's folder."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is no name of a folder")
    return name
