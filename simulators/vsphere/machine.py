"""A virtual machine: its disks, snapshots, power, and what change tracking knows."""

import itertools
import shutil
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from simulators.inventory import Disk as SaidDisk
from simulators.inventory import Vm
from simulators.vsphere import soap
from simulators.vsphere.chain import Disk
from simulators.vsphere.guest import GuestOs
from simulators.vsphere.tracking import ChangeTracking

if TYPE_CHECKING:
    from simulators.vsphere.world import World

CONSOLIDATION_BYTES_PER_S = 200 << 20
_SNAPSHOT_NUMBERS = itertools.count(1)


@dataclass
class Snapshot:
    """A frozen state. ``frozen``: how many links of each disk it holds; ``change_ids`` by disk number."""

    moid: str
    number: int
    name: str
    description: str
    frozen: dict[int, int]
    change_ids: dict[int, str | None]
    devices: list[Any]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    children: list["Snapshot"] = field(default_factory=list)


class Machine:
    """One VM. ``lock`` guards what it is; disks have their own."""

    def __init__(self, world: "World", said: Vm, moid: str) -> None:
        self.world, self.said, self.moid = world, said, moid
        self.ref = vim.VirtualMachine(moid)
        self.name, self.annotation = said.name, said.annotation
        self.instance_uuid = said.instance_uuid or str(uuid.uuid4())
        self.bios_uuid = str(uuid.uuid4())
        self.lock = threading.RLock()
        self.power = "poweredOff"
        self.closed = False  # the lab is down, whatever still sleeps in it
        self.template, self.cdrom, self.question = said.settings.template, said.cdrom, said.settings.question
        self.extra_config: dict[str, str] = {}
        self.config_version = 1
        self.power_log: list[tuple[float, str]] = []
        self.start_connected = {4000 + number: nic.connected for number, nic in enumerate(said.nics)}
        self.snapshot_tree: list[Snapshot] = []
        self.current: Snapshot | None = None
        self.tracking_wanted = said.change_tracking
        self.consolidation_needed = said.settings.consolidation_needed
        self.busy = ""
        self.power_ons = 0
        self.disks = [self._build(number, each) for number, each in enumerate(said.disks)]
        if said.change_tracking:
            self.begin_tracking()
        self.guest = GuestOs(self, said.guest)
        for name in said.snapshots:
            self.take_snapshot(name, "somebody else's")
        self.layout = self.layout_now()
        if said.power == "on":
            self.turn_on()
        elif said.power == "suspended":
            self._power_is("suspended")

    # -- disks

    def _build(self, number: int, said: SaidDisk) -> Disk:
        folder = self.world.folder / said.datastore / self.name
        folder.mkdir(parents=True, exist_ok=True)
        stem = self.name if number == 0 else f"{self.name}_{number}"
        base = folder / f"{stem}-flat.vmdk"
        if said.image is not None:
            _copy_image(said.image, base)
            capacity = -(-base.stat().st_size // 512) * 512
        else:
            capacity = int((said.size_mib or 1) * (1 << 20)) // 512 * 512
        return Disk(folder, stem, capacity)

    def snapshotted(self, number: int) -> bool:
        """Whether a disk takes part in snapshots: independent ones do not."""
        return self.said.disks[number].mode == "persistent" and self.said.disks[number].rdm != "physical"

    def path(self, number: int, file: str) -> str:
        """``[datastore] folder/file``."""
        return f"[{self.said.disks[number].datastore}] {self.said.name}/{file}"

    def controller_key(self, number: int) -> int:
        """The key of a disk's controller."""
        kind, bus = self.said.disks[number].controller[:-1], int(self.said.disks[number].controller[-1])
        return {"scsi": 1000, "ide": 200, "sata": 15000, "nvme": 31000}[kind] + bus

    def disk_key(self, number: int) -> int:
        """The device key, as vSphere makes it of controller and unit."""
        said = self.said.disks[number]
        kind, bus = said.controller[:-1], int(said.controller[-1])
        base = {"scsi": 2000 + 16 * bus, "ide": 3000 + 2 * bus, "sata": 16000 + 30 * bus, "nvme": 32000 + 15 * bus}
        return base[kind] + said.unit

    def disk_by_key(self, key: int) -> int:
        """The number of a disk. Raises InvalidArgument."""
        for number in range(len(self.disks)):
            if self.disk_key(number) == key:
                return number
        raise invalid_argument("deviceKey")

    # -- change tracking

    @property
    def tracked(self) -> bool:
        """What ``config.changeTrackingEnabled`` says."""
        return self.tracking_wanted

    def want_tracking(self, wanted: bool) -> None:
        """A reconfiguration: a running machine begins at its next stun, one that is off at once."""
        self.tracking_wanted = wanted
        if not wanted:
            for disk in self.disks:
                disk.tracking = None
        elif self.power == "poweredOff":
            self.begin_tracking()

    def begin_tracking(self) -> None:
        """At a stun, or when it is off."""
        for number, disk in enumerate(self.disks):
            said = self.said.disks[number]
            if disk.tracking is None and self.snapshotted(number) and said.sharing == "sharingNone":
                disk.tracking = ChangeTracking()
                # With snapshots present the leaf is not tracked properly (vsphere.md §2).
                disk.tracking.broken = bool(self.snapshot_tree)

    # -- snapshots

    def take_snapshot(self, name: str, description: str) -> Snapshot:
        """Freeze all disks at one moment."""
        from simulators.vsphere.devices import devices_of

        with self.lock:
            if self.tracking_wanted:
                self.begin_tracking()
            for disk in self.disks:
                disk.lock.acquire()
            try:
                numbers = [each for each in range(len(self.disks)) if self.snapshotted(each)]
                frozen = {each: len(self.disks[each].links) for each in numbers}
                devices = devices_of(self)
                ids = {each: self.disks[each].freeze() for each in numbers}
            finally:
                for disk in self.disks:
                    disk.lock.release()
            for device in devices:
                backing: Any = device.backing
                if isinstance(device, vim.vm.device.VirtualDisk) and hasattr(backing, "changeId"):
                    backing.changeId = ids.get(self.disk_by_key(device.key))
            number = next(_SNAPSHOT_NUMBERS)
            taken = Snapshot(f"snapshot-{number}", number, name, description, frozen, ids, devices)
            (self.current.children if self.current is not None else self.snapshot_tree).append(taken)
            self.current = taken
            return taken

    def all_snapshots(self) -> list[Snapshot]:
        """The whole tree, parents first."""
        found: list[Snapshot] = []

        def walk(level: list[Snapshot]) -> None:
            for each in level:
                found.append(each)
                walk(each.children)

        walk(self.snapshot_tree)
        return found

    def find_snapshot(self, moid: str) -> Snapshot | None:
        """By moid."""
        return next((each for each in self.all_snapshots() if each.moid == moid), None)

    def drop_snapshot(self, snapshot: Snapshot) -> None:
        """Consolidate, while the guest goes on; then the tree."""
        pending = sum(
            disk.pending(snapshot.frozen[number]) for number, disk in enumerate(self.disks) if number in snapshot.frozen
        )
        self.world.clock.sleep(min(30.0, 0.05 + pending / CONSOLIDATION_BYTES_PER_S))
        with self.lock:
            for number, count in snapshot.frozen.items():
                self.disks[number].merge(count)
            for other in self.all_snapshots():
                if other is not snapshot:
                    for number, count in snapshot.frozen.items():
                        if other.frozen.get(number, 0) > count:
                            other.frozen[number] -= 1
            self._forget(snapshot)
            if self.tracking_wanted:
                self.begin_tracking()

    def _forget(self, snapshot: Snapshot) -> None:
        def without(level: list[Snapshot], parent: Snapshot | None) -> bool:
            if snapshot in level:
                at = level.index(snapshot)
                level[at : at + 1] = snapshot.children
                if self.current is snapshot:
                    self.current = parent
                return True
            return any(without(each.children, each) for each in level)

        without(self.snapshot_tree, None)

    # -- power

    def turn_on(self) -> None:
        """Power on."""
        with self.lock:
            self._power_is("poweredOn")
            self.power_ons += 1
            if self.tracking_wanted:
                self.begin_tracking()
        self.guest.boot()

    def turn_off(self, *, burst: bool) -> None:
        """Power off; in order when the guest was asked."""
        self.guest.halt(burst=burst)
        for disk in self.disks:
            disk.put_down()
        with self.lock:
            self._power_is("poweredOff")

    def _power_is(self, state: str) -> None:
        self.power = state
        self.power_log.append((time.time(), state))

    @property
    def tools_running(self) -> bool:
        """Whether VMware Tools answer."""
        return self.power == "poweredOn" and self.said.guest.tools == "running"

    # -- layout: stale until it is refreshed

    def layout_now(self) -> Any:
        """``layoutEx`` as it is this moment."""
        files: list[Any] = []
        chains: list[Any] = []
        for number, disk in enumerate(self.disks):
            has_files = self.world.datastore(self.said.disks[number].datastore).said.type not in ("vsan", "VVOL")
            units = []
            for link in disk.links:
                keys = [len(files)]
                files.append(_layout_file(len(files), self.path(number, link.descriptor), "diskDescriptor", 500))
                if has_files:
                    keys.append(len(files))
                    size = disk.extent_size(link.extent)
                    files.append(_layout_file(len(files), self.path(number, link.extent), "diskExtent", size))
                units.append(vim.vm.FileLayoutEx.DiskUnit(fileKey=keys))
            chains.append(vim.vm.FileLayoutEx.DiskLayout(key=self.disk_key(number), chain=units))
        return vim.vm.FileLayoutEx(timestamp=datetime.now(UTC), file=files, disk=chains)

    def close(self) -> None:
        """End the guest and give back the files."""
        self.closed = True
        self.guest.halt(burst=False)
        for disk in self.disks:
            disk.close()


def invalid_argument(name: str) -> Any:
    """The fault that names a parameter."""
    error = soap.named_fault("InvalidArgument", f"A specified parameter was not correct: {name}")
    error.invalidProperty = name
    return error


def _layout_file(key: int, name: str, kind: str, size: int) -> Any:
    return vim.vm.FileLayoutEx.FileInfo(key=key, name=name, type=kind, size=size, uniqueSize=size, accessible=True)


def _copy_image(image: Path, target: Path) -> None:
    """Raw images are copied with their holes, without qemu's tools; all else is converted by them."""
    with image.open("rb") as file:
        magic = file.read(8)
    foreign = magic[:4] in (b"QFI\xfb", b"KDMV", b"COWD") or magic in (b"conectix", b"vhdxfile")
    if foreign or image.suffix in (".vmdk", ".vdi", ".vhd", ".vhdx", ".qcow2"):
        if shutil.which("qemu-img") is None:
            raise ValueError(f"{image} is not raw: qemu-img is needed to read it (Debian: qemu-utils)")
        subprocess.run(["qemu-img", "convert", "-O", "raw", str(image), str(target)], check=True)
        return
    subprocess.run(["cp", "--sparse=always", str(image), str(target)], check=True)
