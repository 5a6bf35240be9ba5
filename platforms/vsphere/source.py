"""vSphere as a :class:`platforms.ports.Source`."""

import json
import threading
from collections.abc import Callable
from typing import Any

from pyVmomi import vim

from contracts.config import SourceConfig
from contracts.errors import FerryError
from contracts.machine import Machine, MachineSummary, OwnerMark, Power
from contracts.names import OwnerKey
from contracts.steps import Errand, FenceJournal, Freeze
from platforms.vsphere import freezing, inventory
from platforms.vsphere.disk import FrozenVsphereDisk
from platforms.vsphere.located import Located, by_anything, by_id
from platforms.vsphere.properties import VM, finished, read_all
from platforms.vsphere.session import Session

PATIENCE = 600.0
FENCE_KEY = "ferry.fence"
"""extraConfig: what the fence changed, written in the same call that changes it."""
TRACKING_KEY = "ferry.tracking"
"""extraConfig: change tracking was off before us."""
STUN = inventory.SNAPSHOT_PREFIX + "stun"


class VsphereSource:
    """One vCenter or ESXi host. Logs in when it is first used."""

    def __init__(self, name: str, config: SourceConfig) -> None:
        self.name = name
        self.session = Session(name, config)
        self._located: dict[str, Located] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Log out."""
        self.session.close()

    def check(self) -> str:
        """``VMware vCenter Server 8.0.3 build-…``."""
        told: str = self.session.call("log in", lambda instance: instance.RetrieveContent().about.fullName)
        return told

    # -- inventory

    def machines(self) -> list[MachineSummary]:
        """All but templates and those that show no configuration, by name."""
        found = read_all(self.session, VM, inventory.SUMMARY_PATHS, "list the VMs")
        lines = [
            inventory.summary_of(ref, properties)
            for ref, properties in found
            if properties.get("config.instanceUuid") and not properties.get("config.template")
        ]
        return sorted(lines, key=lambda line: line.name)

    def machine(self, vm: str) -> Machine:
        """One machine, whole."""
        located = by_anything(self.session, vm)
        properties = located.properties(self.session)
        stores = {
            told["name"]: told["summary.type"]
            for _, told in read_all(self.session, vim.Datastore, ["name", "summary.type"], "list the datastores")
        }
        return inventory.machine_of(self.name, located.ref, properties, stores)

    # -- marks

    def claim(self, machine_id: str, mark: OwnerMark) -> None:
        """Look, mark, and look again: of two that came at once, one sees the other's mark."""
        vm = self._find(machine_id)
        self._not_anothers(vm, mark)
        self._set_extra(vm, _mark_values(mark), "mark it")
        self._not_anothers(vm, mark)

    def release(self, machine_id: str, migration: str) -> None:
        """Take off our own mark."""
        vm = self._find(machine_id)
        owner = self._owner(vm)
        if owner is not None and owner.migration == migration:
            self._set_extra(vm, dict.fromkeys(OwnerKey, ""), "take the mark off")

    def raise_epoch(self, machine_id: str, mark: OwnerMark) -> None:
        """Only upwards."""
        vm = self._find(machine_id)
        owner = self._owner(vm)
        if owner is not None and owner.migration == mark.migration and owner.epoch < mark.epoch:
            self._set_extra(vm, {OwnerKey.EPOCH: str(mark.epoch)}, "raise the epoch")

    # -- change tracking

    def change_tracking_on(self, machine_id: str) -> bool:
        """Switch on what is not on; a machine that runs is stunned once so that it begins (vsphere.md §2)."""
        vm = self._find(machine_id)
        properties = vm.properties(self.session)
        if properties.get("config.changeTrackingEnabled") and _all_tracked(properties):
            return TRACKING_KEY in inventory.extra_config(properties)
        if not properties.get("config.changeTrackingEnabled"):
            option = vim.option.OptionValue(key=TRACKING_KEY, value="was-off")
            self._reconfigure(
                vm, vim.vm.ConfigSpec(changeTrackingEnabled=True, extraConfig=[option]), "switch change tracking on"
            )
        if properties["runtime.powerState"] != "poweredOff":
            owner = self._owner(vm)
            told = {"migration": owner.migration if owner else "", "pass": 0}
            freezing.remove_snapshot(self.session, freezing.take_snapshot(self.session, vm, STUN, told), vm.name)
        properties = vm.properties(self.session)
        if not _all_tracked(properties):
            raise FerryError("vsphere.fault", f"change tracking of {vm.name} is on, but not every disk has a change id")
        return TRACKING_KEY in inventory.extra_config(properties)

    def change_tracking_off(self, machine_id: str) -> None:
        """Only where it was we who switched it on."""
        vm = self._find(machine_id)
        properties = vm.properties(self.session)
        if TRACKING_KEY in inventory.extra_config(properties):
            option = vim.option.OptionValue(key=TRACKING_KEY, value="")
            self._reconfigure(
                vm, vim.vm.ConfigSpec(changeTrackingEnabled=False, extraConfig=[option]), "switch change tracking off"
            )

    # -- freeze and thaw

    def freeze(self, machine_id: str, errand: Errand, pass_no: int, *, final: bool) -> Freeze:
        """See the protocol."""
        return freezing.freeze(self.session, self._find(machine_id), errand, pass_no, final=final)

    def check_freeze(self, machine_id: str, freeze: Freeze) -> None:
        """See the protocol."""
        freezing.check_freeze(self.session, self._find(machine_id), freeze)

    def thaw(self, machine_id: str, migration: str) -> None:
        """See the protocol."""
        freezing.thaw(self.session, self._find(machine_id), migration)

    def open_disk(self, machine_id: str, freeze: Freeze, disk_id: str) -> FrozenVsphereDisk:
        """A frozen disk by `/folder`."""
        vm = self._find(machine_id)
        disk = next((each for each in freeze.disks if each.disk_id == disk_id), None)
        if disk is None:
            raise FerryError("vsphere.freeze_void", f"the freeze has no disk {disk_id}")
        return FrozenVsphereDisk(self.session, vm.ref, freeze, disk, vm.datacenter)

    # -- power

    def power(self, machine_id: str) -> Power:
        """Whether it runs."""
        state = self._find(machine_id).properties(self.session)["runtime.powerState"]
        return {"poweredOn": Power.ON, "poweredOff": Power.OFF}.get(state, Power.SUSPENDED)

    def shut_down_guest(self, machine_id: str) -> None:
        """Ask the guest; one that is off already is fine."""
        if self.power(machine_id) is Power.OFF:
            return
        vm = self._find(machine_id)
        self.session.call(f"shut {vm.name} down", lambda instance: vm.managed(instance).ShutdownGuest(), repeat=False)

    def power_off(self, machine_id: str, mark: OwnerMark) -> None:
        """Hard."""
        vm = self._find(machine_id)
        if self.power(machine_id) is Power.OFF:
            return
        self._epoch_holds(vm, mark)
        self._task(vm, f"power {vm.name} off", lambda managed: managed.PowerOffVM_Task())

    def power_on(self, machine_id: str, mark: OwnerMark) -> None:
        """Bring it back."""
        vm = self._find(machine_id)
        if self.power(machine_id) is Power.ON:
            return
        self._epoch_holds(vm, mark)
        self._task(vm, f"power {vm.name} on", lambda managed: managed.PowerOnVM_Task())

    # -- fence: HA, DRS and auto-start overrides and the template mark are to come (ARCHITECTURE.md)

    def fence(self, machine_id: str, migration: str) -> FenceJournal:
        """NICs that would connect at power-on no longer do; the journal is written with the change itself."""
        vm = self._find(machine_id)
        properties = vm.properties(self.session)
        journal = _fence_of(properties)
        cards = [
            each for each in properties["config.hardware.device"]
            if isinstance(each, vim.vm.device.VirtualEthernetCard)
            and each.connectable is not None and each.connectable.startConnected
        ]  # fmt: skip
        if cards:
            journal.update({str(card.key): "startConnected" for card in cards})
            self._connect_at_start(vm, cards, False, json.dumps(journal), "disconnect its NICs at start")
        return FenceJournal(changes={f"NIC {key}": change for key, change in sorted(journal.items())})

    def unfence(self, machine_id: str, journal: FenceJournal) -> None:
        """The machine's own journal counts: an attempt to fence that died told nobody else."""
        vm = self._find(machine_id)
        properties = vm.properties(self.session)
        keys = set(_fence_of(properties)) | {name.removeprefix("NIC ") for name in journal.changes}
        cards = [
            each for each in properties["config.hardware.device"]
            if isinstance(each, vim.vm.device.VirtualEthernetCard) and str(each.key) in keys
        ]  # fmt: skip
        if cards or FENCE_KEY in inventory.extra_config(properties):
            self._connect_at_start(vm, cards, True, "", "connect its NICs at start again")

    # -- helpers

    def _find(self, machine_id: str) -> Located:
        with self._lock:
            if machine_id not in self._located:
                self._located[machine_id] = by_id(self.session, machine_id)
            return self._located[machine_id]

    def _owner(self, vm: Located) -> OwnerMark | None:
        return inventory.owner_of(inventory.extra_config(vm.properties(self.session)))

    def _not_anothers(self, vm: Located, mark: OwnerMark) -> None:
        owner = self._owner(vm)
        if owner is not None and owner.migration != mark.migration:
            raise FerryError("vm.already_migrating", f"{vm.name} bears the mark of {owner.workflow}")

    def _epoch_holds(self, vm: Located, mark: OwnerMark) -> None:
        """Read just before the call that it guards (SAFETY 14)."""
        owner = self._owner(vm)
        if owner is None or owner.migration != mark.migration or owner.epoch > mark.epoch:
            raise FerryError("source.stale_epoch", f"{vm.name} is at another owner or a newer epoch than {mark.epoch}")

    def _set_extra(self, vm: Located, values: dict[Any, str], doing: str) -> None:
        options = [vim.option.OptionValue(key=str(key), value=value) for key, value in values.items()]
        self._reconfigure(vm, vim.vm.ConfigSpec(extraConfig=options), doing)

    def _connect_at_start(self, vm: Located, cards: list[Any], connected: bool, journal: str, doing: str) -> None:
        edits = []
        for card in cards:
            card.connectable.startConnected = connected
            edits.append(vim.vm.device.VirtualDeviceSpec(operation="edit", device=card))
        option = vim.option.OptionValue(key=FENCE_KEY, value=journal)
        self._reconfigure(vm, vim.vm.ConfigSpec(deviceChange=edits, extraConfig=[option]), doing)

    def _reconfigure(self, vm: Located, spec: Any, doing: str) -> None:
        self._task(vm, f"{doing} ({vm.name})", lambda managed: managed.ReconfigVM_Task(spec))

    def _task(self, vm: Located, doing: str, begin: Callable[[Any], Any]) -> None:
        task = self.session.call(doing, lambda instance: begin(vm.managed(instance)), repeat=False)
        finished(self.session, task, doing, patience=PATIENCE)


def _mark_values(mark: OwnerMark) -> dict[Any, str]:
    return {
        OwnerKey.MIGRATION: mark.migration,
        OwnerKey.WORKFLOW: mark.workflow,
        OwnerKey.EPOCH: str(mark.epoch),
    }


def _all_tracked(properties: dict[str, Any]) -> bool:
    disks = inventory.disks_of(list(properties["config.hardware.device"]), {})
    return all(disk.change_tracked for disk in disks if disk.obstacle is None)


def _fence_of(properties: dict[str, Any]) -> dict[str, str]:
    told = inventory.extra_config(properties).get(FENCE_KEY, "")
    try:
        return {str(key): str(value) for key, value in json.loads(told).items()} if told else {}
    except (ValueError, AttributeError):
        return {}
