"""Every source of disks, opened on the same bytes: simulated vSphere by each transport, real NBD servers, memory."""

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import FerryError
from contracts.machine import OwnerMark
from contracts.steps import Errand
from disks.extents import Extent
from disks.nbd import NbdDisk
from disks.nbd_server import NbdServer, qemu_nbd
from disks.protocols import DiskSource
from platforms.vsphere.source import VsphereSource
from tests.conformance.promises.stored import nbd_of_a_pool, pieces
from tests.conformance.test_vsphere_client import client_of
from tests.conformance.vsphere_lab import MIB, PASSWORD, running_vcenter
from tests.conftest import require_tool
from tests.unit.memory_disks import MemoryGuest

SIZE = 9 * MIB + 512
ERRAND = Errand(migration="0123456789abcdef", workflow="migrate/vc/web01", source="vc", target="pool", vm="web01")
WRITTEN_SINCE = 5 * MIB + 512
"""Where the guest writes 4 KiB after the landmark."""
PLUGIN = Path(__file__).parents[1] / "vddk_plugin.sh"
IN_A_NETWORK_OF_ITS_OWN = "FERRY_TEST_NETWORK"


@dataclass
class Opened:
    """A source that stands still.

    Attributes:
        open: a disk of it, as often as one likes.
        content: what it must hold, as long as its capacity.
        landmark: of before the last write; None where nothing is tracked.
        next: the transport that a broken one gives way to.
        may_have_changed: bytes that may be told as changed since the landmark.
        grain: how finely it tells data from holes, in bytes; 0 where it cannot.
    """

    open: Callable[[], DiskSource]
    content: bytes
    landmark: str | None = None
    next: str = ""
    may_have_changed: int = 64 << 10
    grain: int = 64 << 10


def content() -> bytes:
    """Data and holes, odd in size, with data in the first and the last sector."""
    chance, disk = random.Random(1), bytearray(SIZE)
    for at in range(0, 8 * MIB, 2 * MIB):
        disk[at : at + MIB // 2 + 4096] = chance.randbytes(MIB // 2 + 4096)
    disk[3 * MIB + 512 : 3 * MIB + 1024] = b"one sector".ljust(512)
    disk[-512:] = b"last".ljust(512)
    return bytes(disk)


class NbdSource:
    """An NBD export as a :class:`disks.protocols.DiskSource` that has no other transport and tracks nothing."""

    transport, reason = "nbd", ""

    def __init__(self, disk: NbdDisk) -> None:
        self._disk, self.capacity, self.asks_ahead = disk, disk.size, disk.asks_ahead
        self.allocated, self.ask, self.read_into, self.close = disk.extents, disk.ask, disk.read_into, disk.close

    def changed_since(self, landmark: str) -> list[Extent]:
        raise FerryError("vsphere.change_tracking_unusable", "nothing is tracked")

    def step_down(self, error: FerryError) -> bool:
        return False

    def hang_up(self) -> None:
        self._disk.hang_up()


def vsphere(store: str, *, power: str = "on", next: str = "", **more: Any) -> Callable[..., Any]:
    """A machine with change tracking; its disk is frozen twice and written to in between."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Opened]:
        nfs, vddk = more.get("nfs"), more.get("vddk", False)
        disks = [{"size_mib": SIZE / MIB, "datastore": store}]
        said = {"name": "web01", "power": power, "change_tracking": True, "disks": disks}
        with running_vcenter(folder, said) as simulator, pytest.MonkeyPatch.context() as patch:
            trust: dict[str, Any] = {"ca_file": folder / "ca.pem"}
            if nfs is not None:
                trust["nfs"] = {store: nfs(folder / "vsphere" / store)}
            if vddk:
                require_tool("nbdkit", "nbdkit")
                (folder / "vix").mkdir()
                patch.setenv("FERRY_TEST_TOLD", str(folder / "told"))
                patch.setenv("FERRY_TEST_PASSWORD", PASSWORD)
                patch.setenv("FERRY_TEST_BREAKS_AT", "")
                patch.setenv("FERRY_TEST_DISK", str(simulator.world.vm("web01").disks[0].base_file))
                trust["vddk"] = {"libdir": str(folder / "vix"), "plugin": f"sh {PLUGIN}"}
            source = client_of(simulator, folder, **trust)
            try:
                yield _twice_frozen(simulator.world.vm("web01").disks[0], source, cold=power == "off", next=next)
            finally:
                source.close()

    return opened


def _twice_frozen(guest: Any, source: VsphereSource, *, cold: bool, next: str) -> Opened:
    for at, piece in pieces(content()):
        guest.write(at, piece)
    machine = source.machine("web01")
    [disk] = machine.disks
    source.claim(machine.machine_id, OwnerMark(migration=ERRAND.migration, workflow=ERRAND.workflow))
    first = source.freeze(machine.machine_id, ERRAND, 1, final=cold)
    source.thaw(machine.machine_id, ERRAND.migration)
    guest.write(WRITTEN_SINCE, b"since then".ljust(4096, b"."))
    freeze = source.freeze(machine.machine_id, ERRAND, 2, final=cold)
    frozen = guest.read(0, SIZE)
    if not cold:
        guest.write(0, b"after the freeze".ljust(4096))  # nobody may see this
    return Opened(
        lambda: source.open_disk(machine.machine_id, freeze, disk.disk_id),
        frozen,
        first.disks[0].change_id,
        next,
        SIZE if cold else 64 << 10,  # without a snapshot the id does not move on: more is told, never less
    )


def nbdkit(*arguments: str, grain: int = 4096) -> Callable[..., Any]:
    """A file, or what an earlier argument says, behind nbdkit and its filters."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Opened]:
        require_tool("nbdkit", "nbdkit")
        file = _raw(folder)
        said = [each.replace("{file}", str(file)) for each in arguments]
        command = ["nbdkit", "--foreground", "--exit-with-parent", "--readonly", "--unix={socket}", *said]
        server = NbdServer(command)
        try:
            yield Opened(lambda: NbdSource(server.open()), content(), grain=grain)
        finally:
            server.close()

    return opened


def image(form: str, *options: str, grain: int = 64 << 10) -> Callable[..., Any]:
    """An image file of that format behind qemu-nbd; some formats round the size up."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Opened]:
        qemu_img = require_tool("qemu-img", "qemu-utils")
        made = folder / f"made.{form}"
        given = [each for option in options for each in ("-o", option)]
        subprocess.run([qemu_img, "convert", "-f", "raw", "-O", form, *given, _raw(folder), made], check=True)
        server = qemu_nbd(made, form)
        try:
            with_size = server.open()
            size = with_size.size
            with_size.close()
            yield Opened(lambda: NbdSource(server.open()), content().ljust(size, b"\0"), grain=grain)
        finally:
            server.close()

    return opened


def _raw(folder: Path) -> Path:
    file = folder / "disk.raw"
    with file.open("wb") as out:
        out.truncate(SIZE)
        for at, piece in pieces(content()):
            out.seek(at)
            out.write(piece)
    return file


@contextmanager
def memory(folder: Path) -> Iterator[Opened]:
    """The stand-in of the tests of the copying code, which must promise no less."""
    guest = MemoryGuest(SIZE)
    guest.write(0, content())
    first = guest.freeze()
    guest.write(WRITTEN_SINCE, b"since then".ljust(4096, b"."))
    frozen = guest.freeze()
    yield Opened(lambda: frozen, frozen.content, first.landmark)


@contextmanager
def pool_by_nbd(folder: Path) -> Iterator[Opened]:
    """A VDI, read by ranges through XAPI's own old-fashioned server."""
    with nbd_of_a_pool(folder, content()) as (open_ranges, stored):

        def opened() -> NbdSource:
            ranges = open_ranges()
            made = NbdSource(ranges._disk)
            made.ask, made.read_into, made.close = ranges.ask, ranges.read_into, ranges.close
            return made

        yield Opened(opened, stored, grain=0)


@contextmanager
def exported(folder: Path) -> Iterator[Opened]:
    """An export of nfs-ganesha that nobody mounted: only where this process has a network of its own."""
    from tests.conformance.nfs_server import serving

    with ExitStack() as stack:

        def served(datastore: Path) -> str:
            stack.enter_context(serving(folder / "ganesha", datastore))
            return f"nfs://127.0.0.1{datastore}"

        yield stack.enter_context(vsphere("nfs1", nfs=served, next="https")(folder))


SOURCES: dict[str, Callable[[Path], Any]] = {
    "memory": memory,
    "https": vsphere("nfs1", next="nfc"),
    "https, powered off": vsphere("vmfs1", power="off", next="nfc"),
    "nfs, mounted": vsphere("nfs1", nfs=str, next="https"),
    "nfc of a snapshot": vsphere("vsan1"),
    "nfc, powered off": vsphere("vsan1", power="off"),
    "VDDK behind nbdkit": vsphere("vmfs1", vddk=True, next="nfc"),
    "nbdkit": nbdkit("file", "file={file}"),
    "nbdkit, slow and out of order": nbdkit("--filter=delay", "file", "file={file}", "rdelay=2ms"),
    "nbdkit, small blocks": nbdkit("--filter=blocksize-policy", "file", "file={file}", "blocksize-maximum=65536"),
    "nbdkit, no extents": nbdkit("--filter=noextents", "file", "file={file}", grain=0),
    "nbdkit, one request at a time": nbdkit("--filter=noparallel", "file", "file={file}"),
    "nbdkit, copy-on-write": nbdkit("--filter=cow", "file", "file={file}", grain=64 << 10),
    "nbdkit, simple replies": nbdkit("--no-sr", "file", "file={file}", grain=0),
    "nbdkit, split": nbdkit("split", "{file}"),
    "raw by qemu-nbd": image("raw"),
    "qcow2 by qemu-nbd": image("qcow2"),
    "qcow2, compressed clusters": image("qcow2", "cluster_size=4096"),
    "VMDK by qemu-nbd": image("vmdk"),
    "VMDK, stream-optimised, by qemu-nbd": image("vmdk", "subformat=streamOptimized"),
    "VHD by qemu-nbd": image("vpc", "force_size=on", grain=2 * MIB),
    "VHDX by qemu-nbd": image("vhdx", grain=8 * MIB),
    "VDI by qemu-nbd": image("vdi", grain=MIB),
    "a VDI by XAPI's NBD server": pool_by_nbd,
}
if os.environ.get(IN_A_NETWORK_OF_ITS_OWN):
    SOURCES = {"nfs:// of nfs-ganesha": exported}
