"""Every reader of untrusted bytes, as its callers use it. Each returns whether it took the input; a refusal in the
reader's own words is fine, and whatever else it raises is a finding."""

import atexit
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import disks.nbd_connection
import platforms.vsphere.transports.nfs3
import platforms.vsphere.transports.rpc
from contracts.errors import FerryError
from disks.nbd_connection import NbdAddress, NbdConnection, NbdError
from disks.vhd import BrokenVhd, VhdStream
from disks.vmdk_stream import BrokenVmdk, VmdkStream
from platforms.files.images import files_of
from platforms.files.ova import Part, parts_of
from platforms.files.ovf import machines_in
from platforms.files.partitions import boots_by
from platforms.files.vmx import machine_in
from platforms.http_head import read_head
from platforms.vsphere.transports.nfs3 import Export, NfsError, NfsFile
from tests.fuzz import seeds

MOST_READ = 4 << 20
"""Bytes of a disk that a caller reads here: a header may well tell of 64 TiB of zeros, and reading those takes time."""


@dataclass(frozen=True)
class Reader:
    """``good``: makes inputs that it takes. ``read``: False where it refuses."""

    name: str
    good: Callable[[], list[bytes]]
    read: Callable[[bytes], bool]
    mend: Callable[[bytes], bytes] = bytes
    """Makes checksums right again, for every other input: else they would be all that is ever tried."""


class Said:
    """A socket whose other side has said all this already, and hung up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = memoryview(data), 0

    def recv_into(self, view: memoryview, length: int = 0) -> int:
        count = min(length or len(view), len(self._data) - self._at)
        view[:count] = self._data[self._at : self._at + count]
        self._at += count
        return count

    def sendall(self, data: Any) -> None:
        """Nobody listens."""

    def settimeout(self, seconds: float) -> None:
        """It never waits."""

    def close(self) -> None:
        """Nothing to close."""


def _vmdk(data: bytes) -> bool:
    try:
        stream = VmdkStream(Said(data).recv_into)
        buffer = memoryview(bytearray(128 << 10))
        capacity = min(stream.capacity, MOST_READ)
        for at in range(0, capacity, len(buffer)):
            stream.read_into(at, buffer[: min(len(buffer), capacity - at)])
    except BrokenVmdk:
        return False
    return True


def _vhd(data: bytes, *, difference: bool = False) -> bool:
    try:
        for _ in VhdStream(Said(data).recv_into, difference=difference).blocks():
            pass
    except BrokenVhd:
        return False
    return True


def _nbd(data: bytes) -> bool:
    with patch.object(disks.nbd_connection, "_dialled", lambda address: Said(data)):
        try:
            connection = NbdConnection(NbdAddress(host="nbd.example"), "base:allocation")
            connection.status()
            buffer = memoryview(bytearray(min(connection.size, seeds.CAPACITY)))
            connection.receive(0, buffer, connection.send_reads(0, len(buffer)))
        except (NbdError, OSError):
            return False
    return True


def _nfs(data: bytes) -> bool:
    rpc, nfs3 = platforms.vsphere.transports.rpc, platforms.vsphere.transports.nfs3
    with (
        patch.object(rpc, "_connected", lambda *where: Said(data)),
        patch.object(rpc, "time", SimpleNamespace(time=lambda: seeds.NUMBER)),  # by which calls are numbered
        patch.object(nfs3, "TRIES", 1),
        patch.object(NfsFile, "_mounted", lambda self, port: b"root"),
    ):
        try:
            file = NfsFile(Export(host="nas.example", path="/e", nfs_port=2049, mount_port=2050), ["flat"])
            buffer = memoryview(bytearray(min(file.size, seeds.CAPACITY)))
            file.read_into(0, buffer)
        except NfsError:
            return False
    return True


def _head(data: bytes) -> bool:
    try:
        read_head(io.BufferedReader(io.BytesIO(data)))  # type: ignore[arg-type]
    except (ValueError, OSError):
        return False
    return True


@cache
def _beside() -> Path:
    """A folder of our own, with what images may name."""
    made = Path(tempfile.mkdtemp(prefix="ferry-fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    (made / "a-flat.vmdk").write_bytes(bytes(1 << 20))
    (made / "base.qcow2").write_bytes(seeds.images()[0])
    return made


def _filed(data: bytes, name: str, read: Callable[[Path], object]) -> bool:
    path = _beside() / name
    path.write_bytes(data)
    try:
        read(path)
    except FerryError:
        return False
    return True


def _image(data: bytes) -> bool:
    name = "x.qcow2" if data[:3] == b"QFI" else "x.vmdk"  # of another suffix it must name nothing
    return _filed(data, name, lambda path: files_of(Part.whole(path), path.name))


def _descriptor(data: bytes, read: Callable[[bytes, str], object]) -> bool:
    try:
        read(data, "web01")
    except FerryError:
        return False
    return True


READERS = (
    Reader("VMDK, stream-optimised", seeds.vmdks, _vmdk),
    Reader("VHD, dynamic", seeds.vhds, _vhd, seeds.with_checksums),
    Reader("VHD, a difference", seeds.vhds, partial(_vhd, difference=True), seeds.with_checksums),
    Reader("NBD, what a server says", seeds.nbd, _nbd),
    Reader("NFSv3 over RPC, what a server says", seeds.nfs, _nfs),
    Reader("HTTP, the head of an answer", seeds.heads, _head),
    Reader("OVF, two dialects", seeds.ovfs, partial(_descriptor, read=machines_in)),
    Reader("VMX", seeds.vmxs, partial(_descriptor, read=machine_in)),
    Reader("OVA, an archive", seeds.ovas, partial(_filed, name="web01.ova", read=parts_of)),
    Reader("Images, what they name", seeds.images, _image),
    Reader("Partition tables", seeds.tables, lambda data: boots_by(data) is not None),
)
