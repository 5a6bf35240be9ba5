"""What becomes of a source that is migrated: a name and a note that say so; and its removal, by a human's yes."""

from typing import Any

from pyVmomi import vim

from contracts.after import RetireOrder
from contracts.errors import FerryError
from contracts.machine import Power
from platforms.vsphere import inventory
from platforms.vsphere.configuring import carry_out, options, reconfigure
from platforms.vsphere.located import Located
from platforms.vsphere.marks import see_that_it_is_ours
from platforms.vsphere.session import Session

MIGRATED_KEY = "ferry.migrated"
"""extraConfig: the migration that moved it, once it was proven and its probation was over. Only what bears it is ever
removed (SAFETY 22)."""
LONGEST_NAME = 80
"""Characters of a VM's name."""


def retire(session: Session, vm: Located, order: RetireOrder) -> str:
    """Rename, annotate and mark, in one change; it was retired before: nothing.

    Where another VM of its folder has that name, the migration's id is added.

    Returns:
        Its name now.

    Raises:
        FerryError: ``source.stale_epoch``, ``vsphere.powered_on_again``.
    """
    properties = vm.properties(session)
    see_that_it_is_ours(vm, properties, order.errand.mark(order.epoch))
    if inventory.extra_config(properties).get(MIGRATED_KEY) == order.errand.migration:
        return str(properties["name"])
    _see_that_it_is_off(vm, properties)
    plain, other = (
        f"{properties['name'][: LONGEST_NAME - len(suffix)]}{suffix}"
        for suffix in (order.suffix, f"{order.suffix}-{order.errand.migration[:8]}")
    )
    for name in (plain, other):
        # With the version at which mark and epoch were read: whoever changed it meanwhile makes vSphere refuse.
        spec = vim.vm.ConfigSpec(
            name=name,
            annotation="\n\n".join(filter(None, (order.annotation, properties.get("config.annotation")))),
            extraConfig=options({MIGRATED_KEY: order.errand.migration}),
            changeVersion=properties["config.changeVersion"],
        )
        try:
            reconfigure(session, vm, spec, "rename and annotate")
        except FerryError as error:
            if "DuplicateName" not in error.message or name == other:
                raise
        else:
            return name
    raise AssertionError("unreachable")


def remove(session: Session, vm: Located, migration: str, confirmed: str, disk_ids: tuple[str, ...]) -> None:
    """Remove it with its disks, when everything says that it is the VM which was migrated, and nothing more.

    Raises:
        FerryError: ``retire.refused``, with all that speaks against it.
    """
    properties = vm.properties(session)
    against = objections(vm.name, properties, migration, confirmed, disk_ids)
    if against:
        raise FerryError("retire.refused", f"{vm.name} is not removed: {'; '.join(against)}")
    # One that is switched on in this moment is refused by vSphere itself (InvalidPowerState).
    carry_out(session, vm, f"remove {vm.name}", lambda managed: managed.Destroy_Task())


def objections(
    name: str, properties: dict[str, Any], migration: str, confirmed: str, disk_ids: tuple[str, ...]
) -> list[str]:
    """What speaks against removing it; empty: nothing."""
    against: list[str] = []
    extra = inventory.extra_config(properties)
    if confirmed not in (properties["name"], properties["config.instanceUuid"]):
        against.append("what was typed is neither its name nor its instanceUuid")
    if extra.get(MIGRATED_KEY) != migration:
        against.append("it does not bear the mark of a source that this migration has retired")
    owner = inventory.owner_of(extra)
    if owner is not None and owner.migration != migration:
        against.append(f"it belongs to {owner.workflow}")
    if inventory.POWER[properties["runtime.powerState"]] is not Power.OFF:
        against.append("it is not off")
    devices = list(properties.get("config.hardware.device") or [])
    if any(
        isinstance(each, vim.vm.device.VirtualEthernetCard) and each.connectable and each.connectable.startConnected
        for each in devices
    ):
        against.append("it is not fenced: a NIC connects at its start, so somebody may be using it again")
    if properties.get("snapshot.rootSnapshotList"):
        against.append("it has snapshots, on which other VMs may rest")
    if {disk.disk_id for disk in inventory.disks_of(devices, {})} != set(disk_ids):
        against.append("its disks are not those that were migrated")
    return against


def _see_that_it_is_off(vm: Located, properties: dict[str, Any]) -> None:
    if inventory.POWER[properties["runtime.powerState"]] is not Power.OFF:
        raise FerryError("vsphere.powered_on_again", f"{vm.name} runs: it is not retired")
