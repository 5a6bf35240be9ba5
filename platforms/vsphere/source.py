"""vSphere as a :class:`platforms.ports.Source`: each step is told in a module of its own, here they are gathered."""

import threading
from collections.abc import Collection, Sequence
from typing import Any

from pyVmomi import vim

from contracts.after import RemoveOrder, Retired, RetireOrder
from contracts.assessment import Grouped, Named, Unread
from contracts.config import SourceConfig
from contracts.errors import FerryError
from contracts.leftovers import Found
from contracts.machine import Machine, MachineSummary, OwnerMark, Power, StoreRoom
from contracts.steps import Errand, FenceJournal, Freeze, SourceFacts
from platforms.vsphere import (
    allocated,
    approved_steps,
    bulk,
    details,
    facts,
    fencing,
    freezing,
    grouping,
    inventory,
    leftovers,
    licence,
    marks,
    overrides,
    place,
    power,
    retiring,
    room,
    snapshots,
    tags,
    tracking,
)
from platforms.vsphere.disk import FrozenVsphereDisk
from platforms.vsphere.located import Located, by_anything, by_id
from platforms.vsphere.properties import VM, read_all, read_one
from platforms.vsphere.session import Session
from platforms.vsphere.transports.ladder import Ladder


class VsphereSource:
    """One vCenter or ESXi host. Logs in when it is first used; may be used from any thread."""

    def __init__(self, name: str, config: SourceConfig) -> None:
        self.name = name
        self.session = Session(name, config)
        self._ladder = Ladder(self.session)
        self._located: dict[str, Located] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Log out."""
        self.session.close()

    def check(self) -> str:
        """Such as ``VMware vCenter Server 8.0.3 build-24022515``."""
        told: str = self.session.call("log in", lambda instance: instance.RetrieveContent().about.fullName)
        return f"{told}, free licence: it moves what is off" if licence.is_read_only(self.session) else told

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

    def names(self) -> tuple[list[Named], int]:
        """All but templates."""
        return bulk.names(self.session)

    def groups(self, refs: Sequence[str], *, tags: bool) -> dict[str, Grouped]:
        """Folder and tags."""
        return grouping.groups(self.session, refs, tags=tags)

    def allocated(self, refs: Sequence[str]) -> dict[str, dict[int, int]]:
        """By moref and device key."""
        return allocated.allocated(self.session, refs)

    def whole_machines(self, refs: Sequence[str]) -> list[Machine | Unread]:
        """Many at once."""
        return bulk.machines(self.session, refs)

    def machine(self, vm: str) -> Machine:
        """One machine, whole."""
        located = by_anything(self.session, vm)
        properties = located.properties(self.session)
        found = read_all(
            self.session, vim.Datastore, ["name", "summary.type", "summary.accessible"], "list the datastores"
        )
        stores = {told["name"]: told["summary.type"] for _, told in found}
        unreachable = {told["name"] for _, told in found if told.get("summary.accessible") is False}
        host = properties.get("runtime.host")
        machine = inventory.machine_of(
            self.name, located.ref, properties, stores, self._far_networks(properties),
            read_one(self.session, host, ["name"], "read the host's name")["name"] if host is not None else "",
        )  # fmt: skip
        more = read_one(self.session, located.ref, details.DETAIL_PATHS, f"read {located.name}")
        machine = details.with_details(machine, more, unreachable)
        names, unread = tags.tags_of(self.session, located.ref._moId)
        read_only = licence.is_read_only(self.session)
        where = place.place_of(self.session, located.ref, host)
        return machine.model_copy(update={"tags": names, "tags_unread": unread, "read_only": read_only, "place": where})

    def facts(self, machine: Machine | None) -> SourceFacts:
        """The system, and what our account may do with that machine, or in all its datacenters."""
        return facts.facts(self.session, machine) if machine is not None else facts.of_all(self.session)

    def _far_networks(self, properties: dict[str, Any]) -> dict[str, str]:
        """Names of the port groups and opaque networks that its NICs know by a key only."""
        if not any(inventory.far_network(each) for each in properties["config.hardware.device"]):
            return {}
        groups = read_all(self.session, vim.dvs.DistributedVirtualPortgroup, ["key", "name"], "list the port groups")
        opaque = read_all(
            self.session, vim.OpaqueNetwork, ["summary.opaqueNetworkId", "name"], "list the opaque networks"
        )
        return {
            **{told["key"]: told["name"] for _, told in groups},
            **{told["summary.opaqueNetworkId"]: told["name"] for _, told in opaque},
        }

    # -- marks

    def claim(self, machine_id: str, mark: OwnerMark) -> None:
        """See the protocol."""
        marks.claim(self.session, self._find(machine_id), mark)

    def release(self, machine_id: str, migration: str) -> None:
        """See the protocol."""
        marks.release(self.session, self._find(machine_id), migration)

    def raise_epoch(self, machine_id: str, mark: OwnerMark) -> None:
        """See the protocol."""
        marks.raise_epoch(self.session, self._find(machine_id), mark)

    # -- what dead migrations left

    def leftovers(self, subject: str = "") -> list[Found]:
        """See the protocol."""
        return leftovers.leftovers(self.session, self.name, self._find(subject) if subject else None)

    def remove_leftover(self, found: Found) -> None:
        """See the protocol."""
        leftovers.remove(self.session, self._find(found.subject), found)

    # -- what was approved beforehand

    def remove_snapshots(self, machine_id: str, refs: Collection[str], mark: OwnerMark) -> tuple[str, ...]:
        """See the protocol."""
        return approved_steps.remove_snapshots(self.session, self._find(machine_id), refs, mark)

    def eject_iso(self, machine_id: str, mark: OwnerMark) -> tuple[str, ...]:
        """See the protocol."""
        return approved_steps.eject_iso(self.session, self._find(machine_id), mark)

    # -- change tracking

    def change_tracking_on(self, machine_id: str) -> bool:
        """See the protocol."""
        return tracking.switch_on(self.session, self._find(machine_id))

    def change_tracking_off(self, machine_id: str) -> None:
        """Only where it was we who switched it on."""
        tracking.switch_off(self.session, self._find(machine_id))

    # -- freeze and thaw

    def freeze(self, machine_id: str, errand: Errand, pass_no: int, *, final: bool) -> Freeze:
        """See the protocol. A final pass makes its own freeze each time, and adopts none."""
        return freezing.freeze(self.session, self._ladder, self._find(machine_id), errand, pass_no, final=final)

    def check_freeze(self, machine_id: str, freeze: Freeze) -> None:
        """See the protocol."""
        freezing.check_freeze(self.session, self._find(machine_id), freeze)

    def thaw(self, machine_id: str, migration: str) -> None:
        """See the protocol."""
        snapshots.thaw(self.session, self._find(machine_id), migration)

    def open_disk(self, machine_id: str, freeze: Freeze, disk_id: str) -> FrozenVsphereDisk:
        """A frozen disk, by the best transport of its ladder that opens it."""
        disk = next((each for each in freeze.disks if each.disk_id == disk_id), None)
        if disk is None:
            raise FerryError("vsphere.freeze_void", f"the freeze has no disk {disk_id}")
        return FrozenVsphereDisk(self.session, self._ladder, self._find(machine_id), freeze, disk)

    # -- power and fence

    def room(self, machine_id: str) -> list[StoreRoom]:
        """See the protocol."""
        return room.room(self.session, self._find(machine_id))

    def power(self, machine_id: str) -> Power:
        """Whether it runs."""
        return power.power_of(self.session, self._find(machine_id))

    def shut_down_guest(self, machine_id: str, mark: OwnerMark) -> None:
        """Ask the guest; one that is off already is fine."""
        power.shut_down_guest(self.session, self._find(machine_id), mark)

    def power_off(self, machine_id: str, mark: OwnerMark) -> None:
        """Hard."""
        power.switch(self.session, self._find(machine_id), mark, Power.OFF)

    def power_on(self, machine_id: str, mark: OwnerMark) -> None:
        """Bring it back."""
        power.switch(self.session, self._find(machine_id), mark, Power.ON)

    def fence(self, machine_id: str, mark: OwnerMark) -> FenceJournal:
        """See :func:`platforms.vsphere.fencing.fence`."""
        return fencing.fence(self.session, self._find(machine_id), mark)

    def override(self, machine_id: str, mark: OwnerMark) -> FenceJournal:
        """See the protocol."""
        return overrides.override(self.session, self._find(machine_id), mark)

    def undo_overrides(self, machine_id: str, mark: OwnerMark) -> None:
        """See the protocol."""
        overrides.take_back(self.session, self._find(machine_id), mark)

    def unfence(self, machine_id: str, journal: FenceJournal, mark: OwnerMark) -> None:
        """See the protocol."""
        fencing.unfence(self.session, self._find(machine_id), journal, mark)

    # -- when it is migrated

    def retire(self, machine_id: str, order: RetireOrder) -> Retired:
        """See the protocol."""
        return Retired(name=retiring.retire(self.session, self._find(machine_id), order))

    def remove(self, machine_id: str, order: RemoveOrder) -> None:
        """See the protocol."""
        vm = self._find(machine_id)
        retiring.remove(self.session, vm, order.errand.migration, order.confirmed, order.disk_ids)

    def _find(self, machine_id: str) -> Located:
        with self._lock:
            known = self._located.get(machine_id)
        found = by_id(self.session, machine_id, known)
        with self._lock:
            self._located[machine_id] = found
        return found
