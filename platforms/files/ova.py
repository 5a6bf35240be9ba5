"""An OVA: a tar of a descriptor, digests and disks. It is never unpacked; members are read where they lie."""

import contextlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from contracts.errors import FerryError

MOST_MEMBERS = 1000
MOST_DESCRIPTOR = 16 << 20
MOST_HEADER = 8 << 10
"""Bytes of a long name or of attributes: tarfile reads each into memory, and searches it in quadratic time."""
MOST_HEADERS = 16 << 20
"""Bytes of all of them."""


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Raises ``file.unreadable`` for whatever the system says against a file."""
    try:
        yield
    except OSError as error:
        raise FerryError("file.unreadable", f"{error.filename or 'a file'}: {error.strerror or error}") from None


@dataclass(frozen=True)
class Part:
    """A run of bytes of a file: a whole file, or a member of an archive. ``size`` in bytes."""

    path: Path
    offset: int
    size: int

    def read(self, most: int) -> bytes:
        """Its first bytes."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(min(most, self.size))

    @classmethod
    def whole(cls, path: Path) -> "Part":
        """Of a file on its own."""
        return cls(path, 0, path.stat().st_size)


class _Headers(io.FileIO):
    """An archive of which only headers are read.

    Raises:
        FerryError: ``file.too_large``.
    """

    _seen = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As much as a header may have."""
        self._seen += size or 0
        if size is None or not 0 <= size <= MOST_HEADER or self._seen > MOST_HEADERS:
            raise FerryError("file.too_large", f"{Path(str(self.name)).name} has headers that no appliance has")
        return super().read(size) or b""


def parts_of(path: Path) -> dict[str, Part]:
    """By name, in their order.

    Raises:
        FerryError: ``file.unreadable``, ``file.too_large``.
    """
    found: dict[str, Part] = {}
    whole = path.stat().st_size
    try:
        with _Headers(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                name = plain_name(member.name, path.name)
                if not member.isreg() or member.issparse():
                    raise FerryError("file.unreadable", f"{path.name}: {name} is no plain file")
                if member.offset_data + member.size > whole:
                    raise FerryError("file.truncated", f"{path.name} ends in the middle of {name}")
                if name in found:
                    raise FerryError("file.unreadable", f"{path.name} has two files {name}")
                found[name] = Part(path, member.offset_data, member.size)
                if len(found) > MOST_MEMBERS:
                    raise FerryError("file.too_large", f"{path.name} holds more than {MOST_MEMBERS} files")
            if found and whole < archive.offset + 512:  # blocks of zeros end an archive
                raise FerryError("file.truncated", f"{path.name} ends before its end: members may be missing")
    except tarfile.ReadError as error:
        raise FerryError("file.truncated" if found else "file.unreadable", f"{path.name}: {error}") from None
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise FerryError("file.unreadable", f"{path.name} is no OVA: {error}") from None
    return found


def plain_name(name: str, what: str) -> str:
    """Of a file that lies beside; a path that leads anywhere else is refused.

    Raises:
        FerryError: ``file.path``.
    """
    inside = PurePosixPath(name)
    told = str(inside)
    if inside.is_absolute() or ".." in inside.parts or "\\" in name or "\0" in name or told in ("", "."):
        raise FerryError("file.path", f"{what} names the file {name[:100]!r}, which leads out of its folder")
    return told


def beside(folder: Path, told: str, what: str) -> Path | None:
    """A plain file of that folder or below, by no link; None where there is none.

    Raises:
        FerryError: ``file.path``.
    """
    name = plain_name(told, what)
    path = folder / name
    try:
        return path if path.is_file() and path.resolve() == folder.resolve() / name else None
    except OSError:  # a name too long for any file
        return None
