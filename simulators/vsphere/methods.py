"""The methods of a VirtualMachine and its snapshots: what they refuse, and what they do."""

import shutil
import threading
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from simulators.vsphere import soap
from simulators.vsphere.machine import Machine, Snapshot, invalid_argument
from simulators.vsphere.naming import check_change, check_name
from simulators.vsphere.tracking import GRAIN

if TYPE_CHECKING:
    from simulators.vsphere.world import World

MOST_EXTENTS = 2000
SPAN = 512 << 30
"""How much of a disk one answer covers at most: the limit that bites on big disks."""

PRIVILEGES = {
    "CreateSnapshot_Task": "VirtualMachine.State.CreateSnapshot",
    "CreateSnapshotEx_Task": "VirtualMachine.State.CreateSnapshot",
    "RemoveSnapshot_Task": "VirtualMachine.State.RemoveSnapshot",
    "RemoveAllSnapshots_Task": "VirtualMachine.State.RemoveSnapshot",
    "ConsolidateVMDisks_Task": "VirtualMachine.State.RemoveSnapshot",
    "QueryChangedDiskAreas": "VirtualMachine.Provisioning.DiskRandomRead",
    "PowerOnVM_Task": "VirtualMachine.Interact.PowerOn",
    "PowerOffVM_Task": "VirtualMachine.Interact.PowerOff",
    "ShutdownGuest": "VirtualMachine.Interact.PowerOff",
    "ReconfigVM_Task": "VirtualMachine.Config.AdvancedConfig",
    "Destroy_Task": "VirtualMachine.Inventory.Delete",
    "Rename_Task": "VirtualMachine.Config.Rename",
    "ExportVm": "VApp.Export",
    "ExportSnapshot": "VApp.Export",
    "MarkAsTemplate": "VirtualMachine.Provisioning.MarkAsTemplate",
    "MarkAsVirtualMachine": "VirtualMachine.Provisioning.MarkAsVM",
}
"""Every method here that changes something, or reads bytes, and what it takes."""


class Methods:
    """One per simulator."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def call(self, method: str, moid: str, said: dict[str, Any]) -> Any:
        """Carry out; a task where the API says so.

        Raises:
            A fault; NotImplementedError for what is left out.
        """
        if method not in PRIVILEGES and method != "RefreshStorageInfo":
            raise NotImplementedError(method)
        world = self._world
        machine = world.machine_of_snapshot(moid) if moid.startswith("snapshot-") else world.machine(moid)
        self._allowed(method, machine)
        handler = getattr(self, f"_{method}")
        return handler(machine, said, machine.find_snapshot(moid))

    def _allowed(self, method: str, machine: Machine) -> None:
        wanted = PRIVILEGES.get(method)
        self._privileged(machine, wanted)
        if self._world.said.licence == "free" and wanted:  # change tracking and exports as well (vsphere.md §1h)
            self._world.restricted[method] += 1
            raise soap.named_fault(
                "RestrictedVersion", "Current license or ESXi version prohibits execution of the requested operation."
            )

    def _privileged(self, machine: Machine, wanted: str | None) -> None:
        if wanted in self._world.said.privileges_missing:
            error = soap.named_fault("NoPermission", "Permission to perform this operation was denied.")
            error.object, error.privilegeId = machine.ref, wanted
            raise error

    def _task(self, method: str, machine: Machine, work: Any, *, exclusive: str = "") -> Any:
        """A task; ``exclusive`` operations refuse each other with TaskInProgress."""
        if exclusive:
            with machine.lock:
                if machine.busy:
                    raise soap.named_fault("TaskInProgress", "Another task is already in progress.")
                machine.busy = exclusive

        def run(progress: Any) -> Any:
            try:
                rule = self._world.faults.strike(f"{method}!", machine.name)
                if rule is not None and rule.action == "task-fault":
                    if rule.argument == "consolidation":
                        machine.consolidation_needed = True
                        return None
                    raise soap.named_fault(str(rule.argument))
                if rule is not None and rule.action == "lab-seconds":
                    self._world.clock.sleep(float(rule.argument))
                return work()
            finally:
                if exclusive:
                    machine.busy = ""

        return self._world.tasks.begin(f"VirtualMachine.{method}", machine.ref, run)

    # -- snapshots

    def _CreateSnapshot_Task(self, machine: Machine, said: dict[str, Any], _: Any) -> Any:
        def work() -> Any:
            self._world.clock.sleep(0.05)
            taken = machine.take_snapshot(said.get("name", ""), said.get("description") or "")
            self._world.count_frozen()
            return vim.vm.Snapshot(taken.moid)

        return self._task("CreateSnapshot_Task", machine, work, exclusive="snapshot")

    _CreateSnapshotEx_Task = _CreateSnapshot_Task

    def _RemoveSnapshot_Task(self, machine: Machine, said: dict[str, Any], snapshot: Snapshot | None) -> Any:
        assert snapshot is not None
        self._not_leased(machine)
        children = [snapshot]
        if said.get("removeChildren"):
            children = [each for each in machine.all_snapshots() if each is snapshot or each in _below(snapshot)]

        def work() -> None:
            for each in reversed(children):
                machine.drop_snapshot(each)

        return self._task("RemoveSnapshot_Task", machine, work, exclusive="snapshot")

    def _RemoveAllSnapshots_Task(self, machine: Machine, said: dict[str, Any], _: Any) -> Any:
        self._not_leased(machine)

        def work() -> None:
            for each in reversed(machine.all_snapshots()):
                machine.drop_snapshot(each)

        return self._task("RemoveAllSnapshots_Task", machine, work, exclusive="snapshot")

    def _ConsolidateVMDisks_Task(self, machine: Machine, said: dict[str, Any], _: Any) -> Any:
        def work() -> None:
            machine.consolidation_needed = False

        return self._task("ConsolidateVMDisks_Task", machine, work, exclusive="consolidation")

    # -- leases

    def _ExportVm(self, machine: Machine, said: dict[str, Any], _: Any) -> Any:
        return self._world.leases.export(machine, None)

    def _ExportSnapshot(self, machine: Machine, said: dict[str, Any], snapshot: Snapshot | None) -> Any:
        assert snapshot is not None
        return self._world.leases.export(machine, snapshot)

    def _not_leased(self, machine: Machine) -> None:
        """While an export holds a machine, nothing else is done to it."""
        if self._world.leases.of(machine) is not None:
            raise soap.named_fault("TaskInProgress", "Another task is already in progress.")

    # -- change tracking

    def _QueryChangedDiskAreas(self, machine: Machine, said: dict[str, Any], _: Any) -> Any:
        number = machine.disk_by_key(said["deviceKey"])
        disk, start = machine.disks[number], int(said["startOffset"])
        if start < 0 or start >= disk.capacity:
            raise invalid_argument("startOffset")
        snapshot = None
        if said.get("snapshot") is not None:
            snapshot = machine.find_snapshot(said["snapshot"]._moId)
            if snapshot is None:
                from simulators.vsphere.tasks import not_found

                raise not_found(said["snapshot"])
        elif machine.power != "poweredOff":
            raise invalid_argument("snapshot")
        with disk.lock:
            grains = self._grains(machine, number, snapshot, said["changeId"])
        return _areas(grains, start, disk.capacity)

    def _grains(self, machine: Machine, number: int, snapshot: Snapshot | None, change_id: str) -> set[int]:
        disk = machine.disks[number]
        tracking = disk.tracking
        change = snapshot.change_ids.get(number) if snapshot is not None else None
        if tracking is None or tracking.broken or (snapshot is not None and change is None):
            raise soap.named_fault("FileFault", "Error caused by file: change tracking is not enabled for this disk")
        links = len(disk.links) - 1 if snapshot is None else snapshot.frozen[number] - 1
        if change_id == "*":
            return self._allocated(machine, number, links)
        upto = None
        if change is not None:
            if change.rpartition("/")[0] != tracking.uuid:
                raise soap.named_fault("FileFault", "Error caused by file: change tracking was reset")
            upto = int(change.rpartition("/")[2])
        try:
            return tracking.since(change_id, upto)
        except KeyError:
            raise soap.named_fault("FileFault", "Error caused by file: unknown change id") from None

    def _allocated(self, machine: Machine, number: int, links: int) -> set[int]:
        disk, told = (
            machine.disks[number],
            self._world.datastore(machine.said.disks[number].datastore).said.allocated_areas,
        )
        if told == "refused":
            raise soap.named_fault("FileFault", "Error caused by file: allocated areas are not known here")
        return set(range(-(-disk.capacity // GRAIN))) if told == "whole" else disk.allocated(links)

    # -- power

    def _PowerOnVM_Task(self, machine: Machine, said: dict[str, Any], _: Any) -> Any:
        self._power_must_be(machine, "poweredOff")
        self._not_leased(machine)
        if machine.template:
            raise soap.named_fault("NotSupported", "a template cannot be powered on")
        return self._task("PowerOnVM_Task", machine, machine.turn_on)

    def _PowerOffVM_Task(self, machine: Machine, said: dict[str, Any], _: Any) -> Any:
        self._power_must_be(machine, "poweredOn")
        return self._task("PowerOffVM_Task", machine, lambda: machine.turn_off(burst=False))

    def _ShutdownGuest(self, machine: Machine, said: dict[str, Any], _: Any) -> None:
        self._power_must_be(machine, "poweredOn")
        if not machine.tools_running:
            raise soap.named_fault("ToolsUnavailable", "VMware Tools is not running in this virtual machine.")
        if machine.said.guest.ignores_shutdown:
            return

        def later() -> None:
            self._world.clock.sleep(machine.said.guest.shutdown_seconds)
            if machine.power == "poweredOn" and not machine.closed:
                machine.turn_off(burst=True)

        threading.Thread(target=later, daemon=True).start()

    def _power_must_be(self, machine: Machine, wanted: str) -> None:
        if machine.power != wanted:
            error = soap.named_fault(
                "InvalidPowerState", "The attempted operation cannot be performed in the current state."
            )
            error.requestedState, error.existingState = wanted, machine.power
            raise error

    # -- configuration

    def _ReconfigVM_Task(self, machine: Machine, said: dict[str, Any], _: Any) -> Any:
        spec = said["spec"]
        drives = [
            each.device for each in spec.deviceChange or [] if isinstance(each.device, vim.vm.device.VirtualCdrom)
        ]
        if drives:  # the API reference of ReconfigVM_Task: a CD's medium takes this privilege
            self._privileged(machine, "VirtualMachine.Interact.SetCDMedia")

        def work() -> None:
            if drives and machine.said.guest.locks_cd and machine.cdrom and machine.power == "poweredOn":
                machine.question = "The guest operating system has locked the CD-ROM door. Disconnect anyway?"
                while machine.question:
                    self._world.clock.sleep(0.05)
            with machine.lock:
                if machine.template and _changes_more_than_a_template_may(spec):
                    raise soap.named_fault("NotSupported", "The operation is not supported on the object.")
                if spec.changeVersion and spec.changeVersion != str(machine.config_version):
                    raise soap.named_fault("ConcurrentAccess", "the configuration was changed by somebody else")
                check_change(machine, spec)
                machine.config_version += 1
                if spec.changeTrackingEnabled is not None:
                    if spec.changeTrackingEnabled and not machine.said.change_tracking_supported:
                        raise soap.named_fault("NotSupported", "change tracking is not supported")
                    machine.want_tracking(spec.changeTrackingEnabled)
                for option in spec.extraConfig or []:
                    if option.value in ("", None):
                        machine.extra_config.pop(option.key, None)
                    else:
                        machine.extra_config[option.key] = str(option.value)
                if spec.annotation is not None:
                    machine.annotation = spec.annotation
                if spec.name is not None:
                    machine.name = spec.name
                for change in spec.deviceChange or []:
                    key = change.device.key
                    if change.operation == "edit" and isinstance(change.device, vim.vm.device.VirtualCdrom):
                        backing = change.device.backing
                        machine.cdrom = getattr(backing, "fileName", None) or None
                        continue
                    if change.operation != "edit" or key not in machine.start_connected:
                        raise soap.named_fault("NotSupported", "only NICs are edited in this simulator")
                    machine.start_connected[key] = bool(change.device.connectable.startConnected)

        return self._task("ReconfigVM_Task", machine, work)

    def _Rename_Task(self, machine: Machine, said: dict[str, Any], _: Any) -> Any:
        def work() -> None:
            check_name(machine, said["newName"])
            machine.name = said["newName"]

        return self._task("Rename_Task", machine, work)

    def _Destroy_Task(self, machine: Machine, said: dict[str, Any], _: Any) -> Any:
        """The VM and its disks. One that runs is refused, and so is one that is exported."""
        self._power_must_be(machine, "poweredOff")
        self._not_leased(machine)

        def work() -> None:
            machine.close()
            del self._world.machines[machine.moid]
            for folder in {disk.folder for disk in machine.disks}:
                shutil.rmtree(folder)

        return self._task("Destroy_Task", machine, work, exclusive="destroy")

    def _MarkAsTemplate(self, machine: Machine, said: dict[str, Any], _: Any) -> None:
        if self._world.said.kind != "vcenter":
            raise soap.named_fault("NotSupported")
        self._power_must_be(machine, "poweredOff")
        machine.template = True

    def _MarkAsVirtualMachine(self, machine: Machine, said: dict[str, Any], _: Any) -> None:
        machine.template = False

    def _RefreshStorageInfo(self, machine: Machine, said: dict[str, Any], _: Any) -> None:
        machine.layout = machine.layout_now()


def _changes_more_than_a_template_may(spec: Any) -> bool:
    """Of a template only name and annotation can be changed (govmomi's pull request 1431)."""
    allowed = {"name", "annotation", "changeVersion"}
    return any(
        getattr(spec, info.name) not in (None, []) for info in spec._GetPropertyList() if info.name not in allowed
    )


def _below(snapshot: Snapshot) -> list[Snapshot]:
    return [each for child in snapshot.children for each in (child, *_below(child))]


def _areas(grains: set[int], start: int, capacity: int) -> Any:
    """An answer: at most 2,000 extents, and no further than the span."""
    change = vim.vm.DiskChangeInfo if hasattr(vim.vm, "DiskChangeInfo") else vim.VirtualMachine.DiskChangeInfo
    end = min(capacity, start + SPAN)
    runs: list[tuple[int, int]] = []
    for grain in sorted(grains):
        first, last = grain * GRAIN, min((grain + 1) * GRAIN, capacity)
        if last <= start or first >= end:
            continue
        first, last = max(first, start), min(last, end)
        if runs and runs[-1][1] == first:
            runs[-1] = (runs[-1][0], last)
            continue
        if len(runs) == MOST_EXTENTS:
            end = first
            break
        runs.append((first, last))
    extents = [change.DiskChangeExtent(start=first, length=last - first) for first, last in runs]
    return change(startOffset=start, length=end - start, changedArea=extents)
