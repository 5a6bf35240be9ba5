"""VMDK: what its descriptor and its header name, read just as qemu reads them.

qemu opens the extents of a descriptor by itself. So a line that it could take for one and that is not wholly understood
here is refused, and so is what it leaves out without a word: all behind it would move to another place.
"""

import re
import struct
from array import array
from typing import BinaryIO

from contracts.errors import FerryError
from platforms.files.ova import Part, beside

MOST_EXTENTS = 4096
MOST_DESCRIPTOR = 1 << 20
MOST_TABLES = 4 << 20
"""Of 512 grains of 64 KiB: 128 TiB."""
_BEGINS = re.compile(r"\s*(RW|RDONLY|NOACCESS)(\s|$)", re.ASCII)
_EXTENT = re.compile(r'\s*(\w+)\s+(\d{1,18})\s+(\w+)\s+"([^"\r]{1,255})"(?:\s+(\d{1,18}))?\s*', re.ASCII)
_KEY = re.compile(r'\s*([A-Za-z.]+)\s*=\s*"?([^"]*?)"?\s*')
_COMPRESSED = 1 << 16


def parts_and_parent(part: Part, name: str) -> tuple[list[Part], str]:
    """What it lies in beside itself, and the file that it is a delta of; empty where it is none.

    Raises:
        FerryError: ``file.unreadable``, ``file.truncated``, ``file.path``, ``file.chain``, ``file.too_large``.
    """
    text = _descriptor(part, name)
    if part.read(4) == b"KDMV":
        return [], _parent_of(text)
    lines = [line for line in text.split("\n") if _BEGINS.match(line)]
    if not lines or len(lines) > MOST_EXTENTS:
        raise FerryError("file.unreadable", f"{name} names {len(lines)} extents")
    return [_extent(line, part, name) for line in lines], _parent_of(text)


def check_parent(part: Part, name: str, parent: Part) -> None:
    """Whether the parent is as it was when the delta began: of another state the two make no disk.

    Raises:
        FerryError: ``file.chain``.
    """
    wanted = _keys(_descriptor(part, name)).get("parentCID", "").lower()
    found = _keys(_descriptor(parent, parent.path.name)).get("CID", "").lower()
    if wanted != found:
        raise FerryError(
            "file.chain", f"{name} is a delta of {parent.path.name} as it was ({wanted}), not as it is ({found})"
        )


def _descriptor(part: Part, name: str) -> str:
    magic = part.read(4)
    if magic == b"COWD":
        raise FerryError("file.chain", f"{name} is a delta of an ESXi host: give the descriptor that names it")
    if magic == b"KDMV":
        return _embedded(part, name)
    if part.size > MOST_DESCRIPTOR:
        raise FerryError("file.too_large", f"{name} is a descriptor of {part.size} bytes")
    return part.read(MOST_DESCRIPTOR).split(b"\0")[0].decode("utf-8", "replace")


def _extent(line: str, part: Part, name: str) -> Part:
    found = _EXTENT.fullmatch(line)
    if found is None or found[1] != "RW" or not int(found[2]):
        raise FerryError("file.unreadable", f"{name} has an extent that Ferry cannot read: {line.strip()[:100]!r}")
    kind, told = found[3], found[4]
    if kind in ("VMFSRDM", "VMFSRAW", "VMFSPASSTHRU", "DEVICE"):
        raise FerryError("file.unreadable", f"{name} stands for a device ({kind}), and not for a file")
    if kind not in ("FLAT", "VMFS", "SPARSE", "VMFSSPARSE", "SESPARSE"):
        raise FerryError("file.unreadable", f"{name} has an extent of the kind {kind}, which Ferry cannot read")
    path = beside(part.path.parent, told, name)
    if path is None:
        raise FerryError("file.unreadable", f"{name} names {told}, which is not beside it")
    extent = Part.whole(path)
    if kind in ("FLAT", "VMFS"):
        if extent.size < (int(found[2]) + int(found[5] or 0)) * 512:
            raise FerryError("file.truncated", f"{path.name} is smaller than {name} says")
    elif extent.read(4) == b"KDMV":
        _embedded(extent, path.name)
    return extent


def _embedded(part: Part, name: str) -> str:
    """The descriptor within a sparse file. One that claims no capacity is a descriptor to qemu, whatever it names."""
    head = part.read(512)
    if len(head) < 512:
        raise FerryError("file.truncated", f"{name} ends in its header")
    capacity, _, at, length = struct.unpack_from("<QQQQ", head, 12)
    if not capacity:
        raise FerryError("file.unreadable", f"{name} has a capacity of nothing")
    if length * 512 > MOST_DESCRIPTOR:
        raise FerryError("file.too_large", f"{name} has a descriptor of {length * 512} bytes")
    if at * 512 > part.size:
        raise FerryError("file.truncated", f"{name} ends before its descriptor")
    inside = min(length * 512, part.size - at * 512)
    embedded = Part(part.path, part.offset + at * 512, inside).read(MOST_DESCRIPTOR)
    return embedded.split(b"\0")[0].decode("utf-8", "replace")


def _keys(descriptor: str) -> dict[str, str]:
    return {found[1]: found[2] for line in descriptor.splitlines() if (found := _KEY.fullmatch(line))}


def _parent_of(descriptor: str) -> str:
    keys = _keys(descriptor)
    if keys.get("parentCID", "ffffffff").lower() == "ffffffff":
        return ""
    return keys.get("parentFileNameHint", "") or "a file that it does not name"


def check_grains(part: Part, name: str) -> None:
    """Whether the last grain is whole: qemu looks where grains begin, and reads zeros behind the end.

    Raises:
        FerryError: ``file.truncated``, ``file.too_large``.
    """
    head = part.read(512)
    if head[:4] != b"KDMV" or len(head) < 512:
        return
    flags, capacity, grain = struct.unpack_from("<IQQ", head, 8)
    entries, second, first = struct.unpack_from("<IQQ", head, 44)
    if flags & _COMPRESSED or not 0 < entries <= 512 or not grain:
        return  # cut grains do not inflate; of absurd ones qemu told
    tables = -(-capacity // (grain * entries))
    if tables > MOST_TABLES:
        raise FerryError("file.too_large", f"{name} claims {tables} tables of grains")
    last = 0
    directory = (second if flags & 2 else first) * 512
    with part.path.open("rb") as file:
        for table in _words(file, part, directory, tables):
            if table:
                last = max(last, max(_words(file, part, table * 512, entries), default=0))
    if (last + grain) * 512 > part.size and last:
        raise FerryError("file.truncated", f"{name} has {part.size} bytes, and a grain up to {(last + grain) * 512}")


def _words(file: BinaryIO, part: Part, at: int, count: int) -> "array[int]":
    if at > part.size:
        return array("I")
    file.seek(part.offset + at)
    data = file.read(min(count * 4, part.size - at))
    return array("I", data[: len(data) // 4 * 4])
