"""Change tracking of a machine, switched on and off (vsphere.md §2)."""

from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from platforms.vsphere import inventory
from platforms.vsphere.configuring import options, reconfigure
from platforms.vsphere.located import Located
from platforms.vsphere.session import Session
from platforms.vsphere.snapshots import settled, take_snapshot, thaw

TRACKING_KEY = "ferry.tracking"
"""extraConfig, written in the call that switches it on: it was off before us. So a second attempt knows, too."""


def switch_on(session: Session, vm: Located) -> bool:
    """Switch on what is not on; a machine that runs is stunned once, so that it begins.

    Returns:
        Whether it was off before.
    """
    settled(session, vm)
    properties = vm.properties(session)
    if not (properties.get("config.changeTrackingEnabled") and _all_tracked(properties)):
        if _foreign(properties):
            return False  # begun under snapshots, the leaf is not tracked as it should be (vsphere.md §2): we compare
        _begin(session, vm, properties)
        properties = vm.properties(session)
        if not _all_tracked(properties):
            raise FerryError("vsphere.fault", f"change tracking of {vm.name} is on, but not every disk has a change id")
    return TRACKING_KEY in inventory.extra_config(properties)


def switch_off(session: Session, vm: Located) -> None:
    """Only where it was we who switched it on; the snapshot by which it began may be there still."""
    settled(session, vm)
    properties = vm.properties(session)
    owner = inventory.owner_of(inventory.extra_config(properties))
    if owner is not None and any(
        inventory.migration_of(each) == owner.migration for each in inventory.snapshots_of(properties)
    ):
        thaw(session, vm, owner.migration)
    if TRACKING_KEY in inventory.extra_config(properties):
        spec = vim.vm.ConfigSpec(changeTrackingEnabled=False, extraConfig=options({TRACKING_KEY: ""}))
        reconfigure(session, vm, spec, "switch change tracking off")


def _foreign(properties: dict[str, Any]) -> bool:
    owner = inventory.owner_of(inventory.extra_config(properties))
    migration = owner.migration if owner is not None else ""
    return any(inventory.migration_of(each) != migration for each in inventory.snapshots_of(properties))


def _begin(session: Session, vm: Located, properties: dict[str, Any]) -> None:
    owner = inventory.owner_of(inventory.extra_config(properties))
    migration = owner.migration if owner is not None else ""
    thaw(session, vm, migration)
    was_off = not properties.get("config.changeTrackingEnabled")
    spec = vim.vm.ConfigSpec(
        changeTrackingEnabled=True, extraConfig=options({TRACKING_KEY: "was-off"} if was_off else {})
    )
    reconfigure(session, vm, spec, "switch change tracking on")
    if properties["runtime.powerState"] != "poweredOff":
        take_snapshot(session, vm, migration, 0)
        thaw(session, vm, migration)


def _all_tracked(properties: dict[str, Any]) -> bool:
    disks = inventory.disks_of(list(properties["config.hardware.device"]), {})
    return all(disk.change_tracked for disk in disks if disk.obstacle is None)
