"""The good inputs, made by the formats' other implementations or by their specifications."""

import random
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from disks.vhd import checksum_of
from simulators.vsphere.vmdk_writer import stream
from tests.files import making
from tests.files.test_images import VMX

CAPACITY = (256 << 10) + 512
NUMBER = 7
"""Of the first RPC call of each connection, as readers.py arranges it."""


@cache
def disk() -> bytes:
    """A disk with data, a hole and a last sector."""
    data = bytearray(CAPACITY)
    data[: 70 << 10] = random.Random(1).randbytes(70 << 10)
    data[-512:] = b"last" * 128
    return bytes(data)


def vmdks() -> list[bytes]:
    """As qemu-img writes them (tables first) and as ESXi does (tables last)."""

    def read(offset: int, length: int) -> bytes:
        return disk()[offset : offset + length]

    grains = list(range(-(-CAPACITY // 65536)))
    return [
        _converted("vmdk", "subformat=streamOptimized"),
        *(b"".join(stream(CAPACITY, grains, read, "seed", style=style)) for style in ("end", "start")),
    ]


def vhds() -> list[bytes]:
    """A dynamic VHD."""
    return [_converted("vpc", "subformat=dynamic,force_size=on")]


def with_checksums(vhd: bytes) -> bytes:
    """The same VHD, its footer, header and last footer summed up anew."""
    data = bytearray(vhd)
    for start, size, at in ((0, 512, 64), (512, 1024, 36), (len(data) - 512, 512, 64)):
        if start >= 0 and start + size <= len(data):
            part = data[start : start + size]
            struct.pack_into(">I", data, start + at, checksum_of(part, at))
    return bytes(data)


def _converted(form: str, options: str) -> bytes:
    with tempfile.TemporaryDirectory() as made:
        raw, file = Path(made) / "raw", Path(made) / "made"
        raw.write_bytes(disk())
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, "-o", options, raw, file], check=True)
        return file.read_bytes()


def nbd() -> list[bytes]:
    """All that a server says: handshake, status, then one read in data, hole and data; and an old server's."""

    def reply(option: int, kind: int, data: bytes = b"") -> bytes:
        return struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data

    def chunk(flags: int, kind: int, handle: int, data: bytes) -> bytes:
        return struct.pack(">IHHQI", 0x668E33EF, flags, kind, handle, len(data)) + data

    head = struct.pack(">8sQH", b"NBDMAGIC", 0x49484156454F5054, 3)
    size = struct.pack(">HQH", 0, CAPACITY, 1)
    new = (
        head + reply(8, 1) + reply(10, 4, struct.pack(">I", 5) + b"base:allocation") + reply(10, 1)
        + reply(7, 3, size) + reply(7, 3, struct.pack(">HIII", 3, 1, 4096, 1 << 20)) + reply(7, 1)
        + chunk(1, 5, 1, struct.pack(">I4I", 5, 70 << 10, 0, CAPACITY - (70 << 10), 3))
        + chunk(0, 1, 2, struct.pack(">Q", 0) + disk()[: 70 << 10])
        + chunk(1, 2, 2, struct.pack(">QI", 70 << 10, CAPACITY - (70 << 10)))
    )  # fmt: skip
    old = (
        head + reply(8, 1 << 31 | 1) + reply(7, 1 << 31 | 1) + struct.pack(">QH", CAPACITY, 1)
        + struct.pack(">IIQ", 0x67446698, 0, 1) + disk()
    )  # fmt: skip
    return [new, old]


def nfs() -> list[bytes]:
    """All that a server says on the one connection that each call of ours gets: open a file, read it."""
    attributes = struct.pack(">5I", 1, 0o644, 1, 0, 0) + struct.pack(">2Q", CAPACITY, CAPACITY) + bytes(48)
    handle = struct.pack(">I", 8) + b"a handle"
    answers = [
        struct.pack(">I", 0) + handle + struct.pack(">I", 1) + attributes + struct.pack(">I", 0),  # LOOKUP
        struct.pack(">I", 0) + attributes,  # GETATTR
        struct.pack(">II", 0, 0) + struct.pack(">4I", 1 << 20, 1 << 20, 1, 1 << 20) + bytes(32),  # FSINFO
        struct.pack(">II3I", 0, 0, CAPACITY, 1, CAPACITY) + disk() + bytes(-CAPACITY % 4),  # READ
    ]
    said = b""
    for number, answer in enumerate(answers, start=NUMBER):
        record = struct.pack(">6I", number, 1, 0, 0, 0, 0) + answer
        half = len(record) // 2 if number % 2 else len(record)
        if half < len(record):
            said += struct.pack(">I", half) + record[:half]
            record = record[half:]
        said += struct.pack(">I", 1 << 31 | len(record)) + record
    return [said]


def heads() -> list[bytes]:
    """Heads of HTTP answers."""
    return [
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1048575/4294967296\r\nContent-Length: 1048576\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\nX-Long: " + b"y" * 500 + b"\r\n\r\nbody",
    ]


def ovfs() -> list[bytes]:
    """Descriptors of both dialects."""
    disks = [("a.vmdk", 4711, 8 << 20), ("b.vmdk", 4712, 9 << 20)]
    return [making.vmware(disks).encode(), making.virtualbox(disks, efi=True).encode()]


def vmxs() -> list[bytes]:
    """A VM's own configuration."""
    return [VMX.encode()]


@cache
def _ova() -> bytes:
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "a.vmdk"
        file.write_bytes(disk()[:5000])
        return making.ova(Path(made) / "web01.ova", making.vmware([("a.vmdk", 5000, 8 << 20)]), [file]).read_bytes()


def ovas() -> list[bytes]:
    """An archive of a descriptor, digests and a disk."""
    return [_ova()]


@cache
def images() -> list[bytes]:
    """Headers and descriptors of every format that names, or may name, other files."""
    flat = '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\nRW 2048 FLAT "a-flat.vmdk" 0\n'
    forms = [
        ("qcow2", "compat=1.1"),
        ("vdi", "static=off"),
        ("vpc", "subformat=dynamic"),
        ("vhdx", "subformat=dynamic"),
    ]
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "over.qcow2"
        words = ["qemu-img", "create", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", str(path), "1M"]
        subprocess.run(words, check=True, capture_output=True)
        over = path.read_bytes()
    return [
        *(_converted(*form) for form in forms),
        _converted("vmdk", "subformat=monolithicSparse"),
        flat.encode(),
        over,
    ]


def tables() -> list[bytes]:
    """What boots a disk."""
    return [making.head(kind) for kind in ("bios", "uefi")]
