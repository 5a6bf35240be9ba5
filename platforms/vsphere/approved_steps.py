"""What a human approved beforehand: other people's snapshots removed, the CD drive emptied (SAFETY 22).

Each looks at the owner mark first, touches only what it was told of, and finds done what is done already.
"""

from collections.abc import Collection
from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from contracts.machine import OwnerMark
from platforms.vsphere import inventory
from platforms.vsphere.located import Located
from platforms.vsphere.marks import check_epoch, see_that_it_is_ours
from platforms.vsphere.properties import finished, read_one
from platforms.vsphere.session import Session
from platforms.vsphere.snapshots import consolidate, remove, settled

EJECTION = 30.0
"""Seconds until a look is taken at whether vSphere asks something; the task goes on meanwhile."""
_CDROM: Any = vim.vm.device.VirtualCdrom


def remove_snapshots(session: Session, vm: Located, refs: Collection[str], mark: OwnerMark) -> tuple[str, ...]:
    """Remove these, children before parents, and wait until their disks are consolidated.

    Returns:
        Their names.

    Raises:
        FerryError: ``source.stale_epoch``; ``vsphere.busy`` when one is still there; ``vsphere.consolidation_needed``.
    """
    no_question(session, vm)
    settled(session, vm)
    properties = vm.properties(session)
    see_that_it_is_ours(vm, properties, mark)
    wanted = [each for each in _theirs(properties) if each.snapshot._moId in refs]
    for each in reversed(wanted):
        check_epoch(session, vm, mark)  # a removal takes hours, in which much may be decided
        remove(session, each.snapshot, vm.name)
    properties = vm.properties(session)
    if any(each.snapshot._moId in refs for each in _theirs(properties)):
        raise FerryError("vsphere.busy", f"snapshots of {vm.name} are still there")
    consolidate(session, vm, properties)
    return tuple(each.name for each in wanted)


def eject_iso(session: Session, vm: Located, mark: OwnerMark) -> tuple[str, ...]:
    """Leave empty drives where ISOs were.

    Returns:
        The ISOs, ``[datastore] path``.

    Raises:
        FerryError: ``source.stale_epoch``; ``vsphere.question_pending`` where the guest has locked its drive.
    """
    no_question(session, vm)
    properties = vm.properties(session)
    see_that_it_is_ours(vm, properties, mark)
    drives = [
        each for each in properties["config.hardware.device"]
        if isinstance(each, _CDROM) and isinstance(each.backing, _CDROM.IsoBackingInfo)
    ]  # fmt: skip
    ejected = tuple(str(each.backing.fileName) for each in drives)
    if drives:
        # With the version at which the mark was read: whoever takes it over meanwhile makes vSphere refuse.
        edits = [vim.vm.device.VirtualDeviceSpec(operation="edit", device=_emptied(each)) for each in drives]
        spec = vim.vm.ConfigSpec(deviceChange=edits, changeVersion=properties["config.changeVersion"])
        doing = f"eject the ISO of {vm.name}"
        task = session.call(doing, lambda instance: vm.managed(instance).ReconfigVM_Task(spec), repeat=False)
        try:
            finished(session, task, doing, patience=EJECTION)
        except FerryError:
            no_question(session, vm)  # a guest that has locked its drive makes vSphere ask whether to go on
            raise
    return ejected


def no_question(session: Session, vm: Located) -> None:
    """Whatever we ask for waits behind a question. Raises ``vsphere.question_pending``."""
    found = read_one(session, vm.ref, ["runtime.question"], f"see whether {vm.name} is asked something")
    if found.get("runtime.question") is not None:
        raise FerryError("vsphere.question_pending", f"vSphere asks of {vm.name}: {found['runtime.question'].text}")


def _emptied(drive: Any) -> Any:
    drive.backing = _CDROM.RemotePassthroughBackingInfo(deviceName="", exclusive=False)
    drive.connectable.connected = drive.connectable.startConnected = False
    return drive


def _theirs(properties: dict[str, Any]) -> list[Any]:
    return [each for each in inventory.snapshots_of(properties) if inventory.migration_of(each) is None]
