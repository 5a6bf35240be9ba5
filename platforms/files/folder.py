"""What machines lie in a folder: appliances, VMs as a hypervisor keeps them, and disk images on their own."""

import contextlib
import glob
import os
import re
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from contracts.errors import FerryError
from platforms.files import vmx
from platforms.files.described import Described, DescribedDisk
from platforms.files.digests import check_bytes, digests_in
from platforms.files.images import IMAGES, files_of
from platforms.files.ova import MOST_DESCRIPTOR, Part, parts_of, plain_name, readable
from platforms.files.ovf import machines_in

DESCRIPTORS = (".ova", ".ovf", ".vmx")
_PART = re.compile(r"-(flat|delta|ctk|rdmp?|[sf]\d{3})\.vmdk$", re.IGNORECASE)
"""Extents and the like, which their descriptor names."""
ASSUMED_CPUS, ASSUMED_MEMORY = 2, 2 << 30
MOST_DEPTH = 4
MOST_FILES = 20_000
_IDENTITY = uuid.UUID("5a1f3a26-2c55-4c57-9a55-0b0a4d0c5f10")
"""Of machines in files, from their place in the folder: the same file is the same machine."""


@dataclass(frozen=True)
class Appliance:
    """``ref``: its place below the folder; of several in one descriptor with ``#`` and a number."""

    ref: str
    machine_id: str
    told: Described
    files: dict[str, Part]
    digests: dict[str, tuple[str, str]]

    def part(self, disk: DescribedDisk) -> Part:
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
        name = self._name(disk)
        if name not in self.files:
            raise FerryError("file.unreadable", f"{self.ref} names {name}, which is not there")
        part = self.files[name]
        if disk.size is not None and disk.size != part.size:
            raise FerryError("file.truncated", f"{name} has {part.size} bytes, and {self.ref} says {disk.size}")
        return part

    def digest(self, disk: DescribedDisk) -> tuple[str, str] | None:
        """Algorithm and digest that its file should have, where the appliance says it."""
        name = self._name(disk)
        return self.digests.get(name) or self.digests.get(disk.file)

    def _name(self, disk: DescribedDisk) -> str:
        """As the file is called; a descriptor may write its name as a URI does."""
        name = plain_name(disk.file, self.ref)
        return name if name in self.files else plain_name(unquote(disk.file), self.ref)


def places(folder: Path) -> Iterator[Path]:
    """Every file that is a machine or describes one, in order: OVA, OVF, ``.vmx``, and images that belong to none.

    Raises:
        FerryError: ``file.unreadable``, ``file.too_large``.
    """
    seen = 0
    with readable():
        os.scandir(folder).close()  # a walk passes over what it may not enter: below that is meant, not here
    for name, folders, files in os.walk(folder):
        here = Path(name)
        depth = len(here.relative_to(folder).parts)
        folders[:] = sorted(each for each in folders if not each.startswith(".")) if depth < MOST_DEPTH else []
        seen += len(files)
        if seen > MOST_FILES:
            raise FerryError("file.too_large", f"{folder} holds more than {MOST_FILES} files")
        found = sorted(here / each for each in files if _is_plain(here / each))
        told = [each for each in found if each.suffix.lower() in DESCRIPTORS]
        yield from told
        if not any(each.suffix.lower() in (".ovf", ".vmx") for each in told):
            yield from _loose(found)


def place_of(folder: Path, path: Path) -> str:
    """Below the folder, as can be told: a byte that is no UTF-8 is a U+FFFD."""
    return os.fsencode(path.relative_to(folder)).decode("utf-8", "replace")


def _is_plain(path: Path) -> bool:
    """No link, and nothing that waits for somebody to write into it."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:  # gone meanwhile
        return False


def _loose(found: list[Path]) -> list[Path]:
    """Images that are no part of another one: of a folder with a descriptor, all belong to it."""
    images = [each for each in found if each.suffix.lower() in IMAGES and not _PART.search(each.name)]
    parts: set[Path] = set()
    for each in images:
        with contextlib.suppress(FerryError, OSError):  # told where it is read
            parts.update(files_of(Part.whole(each), each.name)[1:])
    return [each for each in images if each not in parts]


def appliances_of(folder: Path, path: Path, source: str) -> list[Appliance]:
    """All machines of one place, by ids of their own in each source.

    Raises:
        FerryError: as its parts are told.
    """
    kind, digests = path.suffix.lower(), {}
    ref = place_of(folder, path)
    if "\ufffd" in ref:
        raise FerryError("file.path", f"the name of {ref} is not UTF-8: rename it")
    if kind == ".vmx":
        files = _beside(path)
        told = [vmx.machine_in(files[path.name].read(vmx.MOST_BYTES + 1), path.name)]
    elif kind in (".ova", ".ovf"):
        files = parts_of(path) if kind == ".ova" else _beside(path)
        name = path.name if kind == ".ovf" else next((each for each in files if each.lower().endswith(".ovf")), "")
        if not name:
            raise FerryError("file.unreadable", f"{path.name} holds no descriptor (.ovf)")
        manifest = files.get(name[:-4] + ".mf")
        if manifest is not None:
            digests = digests_in(manifest.read(MOST_DESCRIPTOR), f"{path.name}: {name[:-4]}.mf")
        descriptor = files[name].read(MOST_DESCRIPTOR + 1)
        if name in digests:
            check_bytes(f"{path.name}: {name}" if kind == ".ova" else name, descriptor, *digests[name])
        told = machines_in(descriptor, path.name)
    else:
        files, told = {path.name: Part.whole(path)}, [_alone(path)]
    return [
        Appliance(each, str(uuid.uuid5(_IDENTITY, f"{source}/{each}")), machine, files, digests)
        for number, machine in enumerate(told)
        for each in [ref if len(told) == 1 else f"{ref}#{number + 1}"]
    ]


def _alone(path: Path) -> Described:
    """A machine around one disk: what it needs nobody says."""
    if checkpoints := sorted(path.parent.glob(f"{glob.escape(path.stem)}_*.avhd*")):
        raise FerryError(
            "file.chain", f"{path.name} has checkpoints ({checkpoints[0].name}): merge them in Hyper-V first"
        )
    disk = DescribedDisk(slot="scsi0:0", file=path.name)
    return Described(name=path.stem, cpus=ASSUMED_CPUS, memory=ASSUMED_MEMORY, disks=(disk,), guessed=True)


def _beside(path: Path) -> dict[str, Part]:
    """Plain files of its own folder and below."""
    found: dict[str, Part] = {}
    for here, folders, names in os.walk(path.parent):
        depth = len(Path(here).relative_to(path.parent).parts)
        folders[:] = [] if depth >= 2 else sorted(folders)
        for name in names:
            file = Path(here) / name
            if _is_plain(file):
                found[str(file.relative_to(path.parent))] = Part.whole(file)
        if len(found) > MOST_FILES:
            raise FerryError("file.too_large", f"{path.parent} holds more than {MOST_FILES} files")
    return found
