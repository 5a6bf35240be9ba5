"""What machines lie in a folder: appliances, each whole in one file (OVA) or beside its descriptor (OVF)."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import FerryError
from platforms.files.digests import digests_in
from platforms.files.ova import MOST_DESCRIPTOR, Part, parts_of, plain_name
from platforms.files.ovf import OvfDisk, OvfMachine, machines_in

MOST_DEPTH = 4
MOST_FILES = 20_000
_IDENTITY = uuid.UUID("5a1f3a26-2c55-4c57-9a55-0b0a4d0c5f10")
"""Of machines in files, from their place in the folder: the same file is the same machine."""


@dataclass(frozen=True)
class Appliance:
    """``ref``: its place below the folder; of several in one descriptor with ``#`` and a number."""

    ref: str
    machine_id: str
    told: OvfMachine
    files: dict[str, Part]
    digests: dict[str, tuple[str, str]]

    def part(self, disk: OvfDisk) -> Part:
        """Where a disk lies.

        Raises:
            FerryError: ``file.unreadable``, ``file.path``.
        """
        if not disk.file:
            raise FerryError("file.unreadable", f"{self.ref}: the disk at {disk.slot} has no file")
        if disk.compressed:
            raise FerryError(
                "file.unreadable", f"{disk.file} is compressed as a whole ({disk.compressed}): unpack it first"
            )
        name = plain_name(disk.file, self.ref)
        if name not in self.files:
            raise FerryError("file.unreadable", f"{self.ref} names {name}, which is not there")
        part = self.files[name]
        if disk.size is not None and disk.size != part.size:
            raise FerryError("file.truncated", f"{name} has {part.size} bytes, and {self.ref} says {disk.size}")
        return part


def descriptors(folder: Path) -> Iterator[Path]:
    """Every OVA and OVF, in order.

    Raises:
        FerryError: ``file.unreadable``, ``file.too_large``.
    """
    seen = 0
    if not folder.is_dir():
        raise FerryError("file.unreadable", f"{folder} is no folder")
    for here, folders, names in os.walk(folder):
        depth = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(each for each in folders if not each.startswith(".")) if depth < MOST_DEPTH else []
        seen += len(names)
        if seen > MOST_FILES:
            raise FerryError("file.too_large", f"{folder} holds more than {MOST_FILES} files")
        yield from (Path(here) / name for name in sorted(names) if Path(name).suffix.lower() in (".ova", ".ovf"))


def appliances_of(folder: Path, path: Path) -> list[Appliance]:
    """All machines of one descriptor.

    Raises:
        FerryError: as its parts are told.
    """
    if path.suffix.lower() == ".ova":
        files = parts_of(path)
        name = next((each for each in files if each.lower().endswith(".ovf")), "")
        if not name:
            raise FerryError("file.unreadable", f"{path.name} holds no descriptor (.ovf)")
    else:
        name, files = path.name, _beside(path)
    data = files[name].read(MOST_DESCRIPTOR + 1)
    manifest = files.get(name[:-4] + ".mf")
    digests = digests_in(manifest.read(MOST_DESCRIPTOR), f"{path.name}: {name[:-4]}.mf") if manifest is not None else {}
    told = machines_in(data, path.name)
    ref = str(path.relative_to(folder))
    return [
        Appliance(each, str(uuid.uuid5(_IDENTITY, each)), machine, files, digests)
        for number, machine in enumerate(told)
        for each in [ref if len(told) == 1 else f"{ref}#{number + 1}"]
    ]


def _beside(path: Path) -> dict[str, Part]:
    """Plain files of its own folder and below."""
    found: dict[str, Part] = {}
    for here, folders, names in os.walk(path.parent):
        depth = len(Path(here).relative_to(path.parent).parts)
        folders[:] = [] if depth >= 2 else sorted(folders)
        for name in names:
            file = Path(here) / name
            if file.is_file() and not file.is_symlink():
                found[str(file.relative_to(path.parent))] = Part.whole(file)
        if len(found) > MOST_FILES:
            raise FerryError("file.too_large", f"{path.parent} holds more than {MOST_FILES} files")
    return found
