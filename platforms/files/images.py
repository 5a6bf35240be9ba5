"""Disk images: which format a file has, what else it needs, and how qemu is told to open it.

qemu is never left to probe, and never follows what a file names: a descriptor or a header could name any file of this
machine. What an image needs beside itself is read here, must lie in the same folder, and is named to qemu by us.
"""

import json
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import FerryError
from platforms.files.ova import Part, beside
from platforms.files.vmdk import check_grains, check_parent, parts_and_parent

MOST_CHAIN = 32
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
IMAGES = {".vmdk", ".vhdx", ".vhd", ".qcow2", ".vdi", *_SUFFIXES}


@dataclass(frozen=True)
class Image:
    """A disk. ``node``: as qemu's ``-blockdev`` has it; ``capacity``: bytes; ``parts``: all that it lies in."""

    node: dict[str, Any]
    form: str
    capacity: int
    parts: tuple[Part, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All that it lies in, itself first."""
        return tuple(dict.fromkeys(each.path for each in self.parts))


def form_of(part: Part, name: str) -> str:
    """``vmdk``, ``vhdx``, ``vpc``, ``qcow2``, ``vdi`` or ``raw``, by what it begins (or ends) with.

    Raises:
        FerryError: ``file.unreadable`` where it is none of them.
    """
    head = part.read(0x48)
    if head[:4] in (b"KDMV", b"COWD") or head.startswith(b"# Disk Descript"):
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
    parts: list[Part] = []
    node = _node(part, name, parts, depth=0)
    capacity = _capacity(node, name)
    return Image(node, str(node["driver"]), capacity, tuple(parts))


def files_of(part: Part, name: str) -> list[Path]:
    """All that it lies in, itself first; qemu is not asked. Raises as :func:`image_of`."""
    parts: list[Part] = []
    _node(part, name, parts, depth=0)
    return [each.path for each in parts]


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
    for part in image.parts:
        check_grains(part, part.path.name)


def as_filename(node: dict[str, Any]) -> str:
    """As qemu's programs take it in place of a file. A name may hold ``{socket}``, which our server replaces."""
    return "json:" + json.dumps(node).replace("{s", "\\u007bs")


def _node(part: Part, name: str, parts: list[Part], depth: int, said: str = "") -> dict[str, Any]:
    """``said``: the format that its child names; what a guest wrote into a raw disk is then no header."""
    if depth > MOST_CHAIN:
        raise FerryError(
            "file.chain", f"{name}: a chain of more than {MOST_CHAIN} images, or one that goes in a circle"
        )
    if depth and part.path in [each.path for each in parts]:
        raise FerryError("file.chain", f"{name}: the chain goes in a circle")
    parts.append(part)
    before = len(parts)
    form = "raw" if said == "raw" else form_of(part, name)
    if said not in ("", form):
        raise FerryError("file.chain", f"{name} should be {said}, which it is not")
    protocol: dict[str, Any] = {"driver": "file", "filename": str(part.path)}
    if part.offset or part.size != part.path.stat().st_size:
        protocol = {"driver": "raw", "offset": part.offset, "size": part.size, "file": protocol}
    node: dict[str, Any] = {"driver": form, "read-only": True, "file": protocol}
    if form == "vmdk":
        extents, parent = parts_and_parent(part, name)
        parts += extents
        at = len(parts)
        node["backing"] = _parent(part.path.parent, parent, name, parts, depth) if parent else None
        if parent and node["backing"]["driver"] == form:
            check_parent(part, name, parts[at])
    elif form == "qcow2":
        parent, parent_form = _qcow2(part, name)
        node["backing"] = _parent(part.path.parent, parent, name, parts, depth, parent_form) if parent else None
    elif form == "vdi":
        _vdi(part, name)
    elif form == "vpc":
        _vhd(part, name)
        node["force_size_calc"] = "current_size"  # some tools write a geometry that is smaller than the disk
    if len(parts) > before and not said and Path(name).suffix.lower() != f".{form}":
        raise FerryError("file.chain", f"{name} begins as {form} and names other files: a guest can have written that")
    return node


def _parent(folder: Path, told: str, name: str, parts: list[Part], depth: int, said: str = "") -> dict[str, Any]:
    """What an image is a delta of: a file of the same folder."""
    path = beside(folder, told.replace("\\", "/").removeprefix("./"), name)
    if path is None:
        raise FerryError("file.chain", f"{name} is a delta of {told}, which is not beside it")
    return _node(Part.whole(path), path.name, parts, depth + 1, said)


def _qcow2(part: Part, name: str) -> tuple[str, str]:
    """Its backing file and that one's format; empty where there is none."""
    head = part.read(104)
    if len(head) < 72:
        raise FerryError("file.truncated", f"{name} ends in its header")
    version, at, length = struct.unpack_from(">IQI", head, 4)
    if struct.unpack_from(">I", head, 32)[0]:
        raise FerryError("file.unreadable", f"{name} is encrypted: decrypt it first (qemu-img convert)")
    if version >= 3 and len(head) >= 80 and struct.unpack_from(">Q", head, 72)[0] & 4:
        raise FerryError("file.unreadable", f"{name} keeps its data in another file, which Ferry does not follow")
    if not at:
        return "", ""
    if length > 1023 or at > part.size:
        raise FerryError("file.unreadable", f"{name} names a backing file of {length} characters")
    told = Part(part.path, part.offset + at, length).read(1023).decode("utf-8", "replace")
    begin = struct.unpack_from(">I", head, 100)[0] if version >= 3 and len(head) == 104 else 72
    return told, _parent_form(Part(part.path, part.offset + begin, max(0, min(at - begin, 4096))).read(4096))


def _parent_form(extensions: bytes) -> str:
    """Where a header's extensions name the format of its backing file; empty where they do not."""
    at = 0
    while at + 8 <= len(extensions):
        kind, length = struct.unpack_from(">II", extensions, at)
        if kind == 0xE2792ACA:
            return extensions[at + 8 : at + 8 + length].decode("ascii", "replace")
        if not kind:
            break
        at += 8 + length + -length % 8
    return ""


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
    (size,), (kind,) = struct.unpack_from(">Q", footer, 48), struct.unpack_from(">I", footer, 60)
    if kind == 4:
        raise FerryError("file.chain", f"{name} is a differencing disk: merge it first (Hyper-V: Merge-VHD)")
    if (kind == 3) != (part.read(8) == b"conectix") or kind not in (2, 3):
        raise FerryError("file.unreadable", f"{name} is fixed by its one end and dynamic by the other")
    if kind == 2 and part.size - 512 < size:
        raise FerryError("file.truncated", f"{name} has {part.size} bytes, and its footer speaks of {size + 512}")


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
