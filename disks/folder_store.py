"""The store in a folder.

<store>/store.json                                   {"id": "..."}
<store>/migrations/<migration>/<disk>/journal.jsonl  what was promised and kept, one line an event
<store>/migrations/<migration>/<disk>/plan-<n>.json  the extents of one pass
<store>/migrations/<migration>/<disk>/manifest       digests of the blocks (see disks.manifest)
"""

import contextlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from contracts.errors import FerryError
from disks.store import checked_name

HEADER = 4096
"""Bytes before the cells in their file."""


class FolderStore:
    """A folder that all workers of one queue share.

    Raises:
        FerryError: ``store.unwritable`` when the folder cannot be made or read; ``store.damaged`` when it does not
            tell its id.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.id = self._identity(folder / "store.json")
        except OSError as error:
            raise FerryError("store.unwritable", f"{folder}: {error.strerror}") from None

    def disk(self, migration: str, disk_id: str) -> "FolderShelf":
        """The folder of one disk of one migration, made if need be."""
        folder = self.folder / "migrations" / checked_name(migration) / checked_name(disk_id)
        with _told(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return FolderShelf(folder)

    def migrations(self) -> list[str]:
        """The names of the folders."""
        folder = self.folder / "migrations"
        with _told(folder):
            return sorted(each.name for each in folder.iterdir()) if folder.exists() else []

    @staticmethod
    def _identity(file: Path) -> str:
        """The id in the file; the first worker to come writes it, and a second cannot write another."""
        if not file.exists():
            draft = file.with_name(f".store-{uuid.uuid4().hex}")
            _write_durably(draft, json.dumps({"id": uuid.uuid4().hex}).encode())
            try:
                os.link(draft, file)  # fails where another worker was faster: then its id holds
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        try:
            return str(json.loads(file.read_text())["id"])
        except (ValueError, KeyError, TypeError):
            raise FerryError("store.damaged", f"{file} does not tell the store's id") from None


class FolderShelf:
    """One disk's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines_file = folder / "journal.jsonl"

    def journal(self) -> bytes:
        """All lines; the last of them may be torn."""
        return self.read(self.lines_file.name) or b""

    def append(self, line: bytes) -> None:
        """Add a line; one that a crash tore before it is closed off."""
        with _told(self.lines_file):
            descriptor = os.open(self.lines_file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line
                while line:  # a disk that is almost full takes a part, and refuses the rest
                    line = line[os.write(descriptor, line) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def read(self, name: str) -> bytes | None:
        """A file's bytes."""
        file = self.folder / name
        with _told(file):
            return file.read_bytes() if file.exists() else None

    def write(self, name: str, content: bytes) -> None:
        """A file, there whole or not at all after a crash."""
        with _told(self.folder / name):
            _write_durably(self.folder / name, content)

    def has_cells(self, name: str) -> bool:
        """Whether the file is there."""
        return (self.folder / name).exists()

    def cells(self, name: str, header: bytes, size: int) -> "FolderCells":
        """A sparse file: the header, padded, and the cells."""
        file = self.folder / name
        with _told(file):
            if not file.exists():
                _create(file, header, size)
            return FolderCells(file)


class FolderCells:
    """Cells in a sparse file: what was never written costs nothing."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor = os.open(file, os.O_RDWR)
        self.header = os.pread(self._descriptor, HEADER, 0)

    def read(self, at: int, size: int) -> bytes:
        """That many bytes."""
        return os.pread(self._descriptor, size, HEADER + at).ljust(size, b"\0")

    def write(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Write each piece at its place; durable when this returns."""
        with _told(self._file):
            for at, piece in pieces:
                while piece:
                    written = os.pwrite(self._descriptor, piece, HEADER + at)
                    at, piece = at + written, piece[written:]
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _create(file: Path, header: bytes, size: int) -> None:
    """Empty cells, there whole or not at all; what another attempt has made meanwhile stays."""
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}.draft")
    with draft.open("wb") as out:
        out.write(header.ljust(HEADER))
        out.truncate(HEADER + size)
        out.flush()
        os.fsync(out.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
    _sync_folder(file.parent)


def _write_durably(file: Path, content: bytes) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    with draft.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename or a new file in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FerryError("store.unwritable", f"{file}: {error.strerror}") from None
