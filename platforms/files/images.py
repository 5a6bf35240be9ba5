"""Disk images: which format a file has, what else it needs, and how qemu is told to open it.

qemu is never left to probe, and never follows what a file names: a descriptor or a header could name any file of this
machine. What an image needs beside itself is read here, must lie in the same folder, and is named to qemu by us.
"""

import json
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import FerryError
from platforms.files.ova import Part, plain_name

MOST_CHAIN = 32
MOST_EXTENTS = 4096
MOST_DESCRIPTOR = 1 << 20
MOST_CAPACITY = 1 << 50
PATIENCE = 60
"""Seconds that qemu-img may look at a header."""
CHECK_PATIENCE = 3600
"""Seconds that it may look through the tables of a whole image."""
_CHECKED = frozenset({"qcow2", "vmdk", "vhdx"})
"""Of the others qemu does not look; their lengths are held against their headers here."""
_MEMORY = 2 << 30
_SUFFIXES = {".raw", ".img", ".bin", ".dd"}
"""Of files that have no header: only those are taken for raw."""
_EXTENT = re.compile(r'(RW|RDONLY|NOACCESS)\s+(\d{1,18})\s+(\w+)\s+"([^"]*)"(?:\s+(\d{1,18}))?')
_KEY = re.compile(r'\s*([A-Za-z.]+)\s*=\s*"?([^"]*?)"?\s*')
IMAGES = {".vmdk", ".vhdx", ".vhd", ".qcow2", ".vdi", *_SUFFIXES}


@dataclass(frozen=True)
class Image:
    """A disk. ``node``: as qemu's ``-blockdev`` has it; ``capacity``: bytes; ``files``: all that it lies in."""

    node: dict[str, Any]
    form: str
    capacity: int
    files: tuple[Path, ...]


def form_of(part: Part, name: str) -> str:
    """``vmdk``, ``vhdx``, ``vpc``, ``qcow2``, ``vdi`` or ``raw``, by what it begins (or ends) with.

    Raises:
        FerryError: ``file.unreadable`` where it is none of them.
    """
    head = part.read(0x48)
    if head[:4] == b"KDMV" or head.startswith(b"# Disk Descript"):
        return "vmdk"
    if head[:4] == b"QFI\xfb":
        return "qcow2"
    if head[:8] == b"vhdxfile":
        return "vhdx"
    if len(head) >= 0x44 and struct.unpack_from("<I", head, 0x40)[0] == 0xBEDA107F:
        return "vdi"
    tail = Part(part.path, part.offset + max(0, part.size - 512), min(512, part.size)).read(8)
    if head[:8] == b"conectix" or tail == b"conectix":
        return "vpc"
    if Path(name).suffix.lower() in _SUFFIXES:
        return "raw"
    raise FerryError("file.unreadable", f"{name} is no disk image that Ferry knows")


def image_of(part: Part, name: str) -> Image:
    """A disk image with all that belongs to it.

    Raises:
        FerryError: ``file.unreadable``, ``file.truncated``, ``file.path``, ``file.chain``, ``file.too_large``.
    """
    files: list[Path] = []
    node = _node(part, name, files, depth=0)
    capacity = _capacity(node, name)
    return Image(node, str(node["driver"]), capacity, tuple(dict.fromkeys(files)))


def files_of(part: Part, name: str) -> list[Path]:
    """All that it lies in, itself first; qemu is not asked. Raises as :func:`image_of`."""
    files: list[Path] = []
    _node(part, name, files, depth=0)
    return files


def check_whole(image: Image, name: str) -> None:
    """Whether all that its tables point to is there: what was cut short would else read as zeros.

    Raises:
        FerryError: ``file.truncated``.
    """
    node: dict[str, Any] | None = image.node
    while node is not None:
        if node["driver"] in _CHECKED:
            told = _qemu_img("check", {**node, "backing": None} if "backing" in node else node, name, CHECK_PATIENCE)
            if told.returncode not in (0, 3):  # 3: clusters that nobody uses
                raise FerryError("file.truncated", f"{name}: {_last_words(told)}")
        node = node.get("backing")


def as_filename(node: dict[str, Any]) -> str:
    """As qemu's programs take it in place of a file."""
    return "json:" + json.dumps(node)


def _node(part: Part, name: str, files: list[Path], depth: int) -> dict[str, Any]:
    if depth > MOST_CHAIN:
        raise FerryError(
            "file.chain", f"{name}: a chain of more than {MOST_CHAIN} images, or one that goes in a circle"
        )
    if depth and part.path in files:
        raise FerryError("file.chain", f"{name}: the chain goes in a circle")
    files.append(part.path)
    form = form_of(part, name)
    protocol: dict[str, Any] = {"driver": "file", "filename": str(part.path)}
    if part.offset or part.size != part.path.stat().st_size:
        protocol = {"driver": "raw", "offset": part.offset, "size": part.size, "file": protocol}
    node: dict[str, Any] = {"driver": form, "read-only": True, "file": protocol}
    beside = part.path.parent
    if form == "vmdk":
        parent = _vmdk(part, name, files)
        node["backing"] = _beside(beside, parent, name, files, depth) if parent else None
    elif form == "qcow2":
        parent, parent_form = _qcow2(part, name)
        node["backing"] = _beside(beside, parent, name, files, depth) if parent else None
        if parent and parent_form and node["backing"]["driver"] != parent_form:
            raise FerryError("file.chain", f"{name} says that {parent} is {parent_form}, which it is not")
    elif form == "vdi":
        _vdi(part, name)
    elif form == "vpc":
        _vhd(part, name)
        node["force_size_calc"] = "current_size"  # some tools write a geometry that is smaller than the disk
    return node


def _beside(folder: Path, told: str, name: str, files: list[Path], depth: int) -> dict[str, Any]:
    """The parent that an image names: a file of the same folder."""
    path = folder / plain_name(told.replace("\\", "/").removeprefix("./"), name)
    if not path.is_file() or path.is_symlink():
        raise FerryError("file.chain", f"{name} is a delta of {told}, which is not beside it")
    return _node(Part.whole(path), path.name, files, depth + 1)


def _vmdk(part: Part, name: str, files: list[Path]) -> str:
    """Checks what it names; answers its parent."""
    head = part.read(512)
    if head[:4] == b"KDMV" and len(head) < 512:
        raise FerryError("file.truncated", f"{name} ends in its header")
    if head[:4] == b"KDMV":
        capacity, _, at, length = struct.unpack_from("<QQQQ", head, 12)
        if not capacity:
            raise FerryError("file.unreadable", f"{name} has a capacity of nothing")
        if length * 512 > MOST_DESCRIPTOR:
            raise FerryError("file.too_large", f"{name} has a descriptor of {length * 512} bytes")
        inside = min(length * 512, max(0, part.size - at * 512))
        embedded = Part(part.path, part.offset + at * 512, inside).read(MOST_DESCRIPTOR)
        return _parent_of(embedded.split(b"\0")[0].decode("utf-8", "replace"))
    if part.size > MOST_DESCRIPTOR:
        raise FerryError("file.too_large", f"{name} is a descriptor of {part.size} bytes")
    text = part.read(MOST_DESCRIPTOR).decode("utf-8", "replace")
    extents = [found for line in text.splitlines() if (found := _EXTENT.fullmatch(line.strip()))]
    if not extents or len(extents) > MOST_EXTENTS:
        raise FerryError("file.unreadable", f"{name} names {len(extents)} extents")
    for each in extents:
        if each[3] in ("VMFSRDM", "VMFSRAW", "VMFSPASSTHRU", "DEVICE"):
            raise FerryError("file.unreadable", f"{name} stands for a device ({each[3]}), and not for a file")
        path = part.path.parent / plain_name(each[4], name)
        if not path.is_file() or path.is_symlink():
            raise FerryError("file.unreadable", f"{name} names {each[4]}, which is not beside it")
        if each[3] in ("FLAT", "VMFS") and path.stat().st_size < (int(each[2]) + int(each[5] or 0)) * 512:
            raise FerryError("file.truncated", f"{path.name} is smaller than {name} says")
        files.append(path)
    return _parent_of(text)


def _parent_of(descriptor: str) -> str:
    keys = {found[1]: found[2] for line in descriptor.splitlines() if (found := _KEY.fullmatch(line))}
    if keys.get("parentCID", "ffffffff").lower() == "ffffffff":
        return ""
    return keys.get("parentFileNameHint", "") or "a file that it does not name"


def _qcow2(part: Part, name: str) -> tuple[str, str]:
    """Its backing file and that one's format; empty where there is none."""
    head = part.read(104)
    if len(head) < 72:
        raise FerryError("file.truncated", f"{name} ends in its header")
    version, at, length = struct.unpack_from(">IQI", head, 4)
    if version >= 3 and len(head) >= 80 and struct.unpack_from(">Q", head, 72)[0] & 4:
        raise FerryError("file.unreadable", f"{name} keeps its data in another file, which Ferry does not follow")
    if not at:
        return "", ""
    if length > 1023 or at > part.size:
        raise FerryError("file.unreadable", f"{name} names a backing file of {length} characters")
    told = Part(part.path, part.offset + at, length).read(1023).decode("utf-8", "replace")
    return told, ""


def _vdi(part: Part, name: str) -> None:
    head = part.read(0x188)
    if len(head) < 0x188:
        raise FerryError("file.truncated", f"{name} ends in its header")
    (data,), (block,), (used,) = (struct.unpack_from("<I", head, at) for at in (0x158, 0x178, 0x184))
    if part.size < data + block * used:
        raise FerryError(
            "file.truncated", f"{name} has {part.size} bytes, and its header speaks of {data + block * used}"
        )


def _vhd(part: Part, name: str) -> None:
    footer = Part(part.path, part.offset + max(0, part.size - 512), min(512, part.size)).read(512)
    if footer[:8] != b"conectix" or len(footer) < 512:
        raise FerryError("file.truncated", f"{name} has no footer at its end")
    if struct.unpack_from(">I", footer, 60)[0] == 4:
        raise FerryError("file.chain", f"{name} is a differencing disk: merge it first (Hyper-V: Merge-VHD)")


def _capacity(node: dict[str, Any], name: str) -> int:
    """As qemu sees it, with bounded memory and time: a header may claim anything."""
    told = _qemu_img("info", {**node, "backing": None} if "backing" in node else node, name, PATIENCE)
    if told.returncode:
        raise FerryError("file.unreadable", f"{name}: {_last_words(told)}")
    size = int(json.loads(told.stdout)["virtual-size"])
    if not 0 < size <= MOST_CAPACITY:
        raise FerryError("file.too_large", f"{name} claims {size} bytes")
    return size + -size % 512


def _qemu_img(what: str, node: dict[str, Any], name: str, patience: int) -> "subprocess.CompletedProcess[bytes]":
    words = ["prlimit", f"--as={_MEMORY}", f"--cpu={patience}", "qemu-img", what, "--output=json", as_filename(node)]
    try:
        return subprocess.run(words, capture_output=True, timeout=patience, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise FerryError("file.unreadable", f"{name}: qemu-img took longer than {patience} s to look at it") from None
    except FileNotFoundError as error:
        raise FerryError("worker.tool_missing", f"{error.filename} is not installed on this worker") from None


def _last_words(told: "subprocess.CompletedProcess[bytes]") -> str:
    """Without the name of the file, which is a whole JSON."""
    said = " ".join((told.stderr or told.stdout).decode(errors="replace").split())
    return (said.rpartition("}': ")[2] or "qemu does not open it")[-300:]
