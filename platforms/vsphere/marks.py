"""The owner mark on a machine, in extraConfig (SAFETY 12, 14): look before writing, look again after."""

from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from contracts.machine import OwnerMark
from contracts.names import OwnerKey
from platforms.vsphere import inventory
from platforms.vsphere.configuring import options, reconfigure
from platforms.vsphere.located import Located
from platforms.vsphere.properties import read_one
from platforms.vsphere.session import Session

FOREIGN_KEY = "ferry.foreign"
"""extraConfig: other people's snapshots that this migration met. It is part of every landmark, so that change
tracking is not believed across one of them (vsphere.md §2, SAFETY 11). Goes with the mark."""


def claim(session: Session, vm: Located, mark: OwnerMark) -> None:
    """Put the mark on; of two that come at once one is refused.

    An older attempt never takes a raised epoch back.
    """
    owner, version = _read(session, vm)
    _not_anothers(vm, owner, mark)
    if owner is None or owner.epoch < mark.epoch or owner.workflow != mark.workflow:
        values: dict[str, str] = {
            OwnerKey.MIGRATION: mark.migration,
            OwnerKey.WORKFLOW: mark.workflow,
            OwnerKey.EPOCH: str(max(mark.epoch, owner.epoch if owner is not None else 0)),
        }
        # With the version that was looked at, vSphere itself refuses whoever comes second (ConcurrentAccess).
        spec = vim.vm.ConfigSpec(extraConfig=options(values), changeVersion=version)
        reconfigure(session, vm, spec, "mark it")
        owner, _ = _read(session, vm)
        _not_anothers(vm, owner, mark)
    if owner is None:
        raise FerryError("vsphere.fault", f"the mark that was put on {vm.name} is not there")


def release(session: Session, vm: Located, migration: str) -> None:
    """Take our own mark off, and leave any other."""
    owner, _ = _read(session, vm)
    if owner is not None and owner.migration == migration:
        gone = dict.fromkeys([*OwnerKey, FOREIGN_KEY], "")
        reconfigure(session, vm, vim.vm.ConfigSpec(extraConfig=options(gone)), "take the mark off")


def raise_epoch(session: Session, vm: Located, mark: OwnerMark) -> None:
    """Only upwards, and only in our own mark."""
    owner, version = _read(session, vm)
    if owner is not None and owner.migration == mark.migration and owner.epoch < mark.epoch:
        spec = vim.vm.ConfigSpec(extraConfig=options({OwnerKey.EPOCH: str(mark.epoch)}), changeVersion=version)
        reconfigure(session, vm, spec, "raise the epoch")


def check_epoch(session: Session, vm: Located, mark: OwnerMark) -> None:
    """Just before the call that it guards (SAFETY 14). Raises ``source.stale_epoch``."""
    owner, _ = _read(session, vm)
    _not_overtaken(vm, owner, mark)


def see_that_it_is_ours(vm: Located, properties: dict[str, Any], mark: OwnerMark) -> None:
    """The same of properties that were read. Raises ``source.stale_epoch``."""
    _not_overtaken(vm, inventory.owner_of(inventory.extra_config(properties)), mark)


def _not_overtaken(vm: Located, owner: OwnerMark | None, mark: OwnerMark) -> None:
    if owner is None or owner.migration != mark.migration or owner.epoch > mark.epoch:
        raise FerryError("source.stale_epoch", f"{vm.name} is at another owner or a newer epoch than {mark.epoch}")


def note_foreign(session: Session, vm: Located, properties: dict[str, Any], foreign: list[Any]) -> None:
    """Remember other people's snapshots, by their refs: they may be gone when the next pass begins."""
    known = set(foreign_met(properties).split())
    met = known | {each.snapshot._moId for each in foreign}
    if met != known:
        spec = vim.vm.ConfigSpec(extraConfig=options({FOREIGN_KEY: " ".join(sorted(met))}))
        reconfigure(session, vm, spec, "note that it has snapshots of others")


def foreign_met(properties: dict[str, Any]) -> str:
    """What :func:`note_foreign` wrote; empty for nothing."""
    return inventory.extra_config(properties).get(FOREIGN_KEY, "")


def _read(session: Session, vm: Located) -> tuple[OwnerMark | None, str | None]:
    found = read_one(session, vm.ref, ["config.extraConfig", "config.changeVersion"], f"read the mark of {vm.name}")
    return inventory.owner_of(inventory.extra_config(found)), found.get("config.changeVersion")


def _not_anothers(vm: Located, owner: OwnerMark | None, mark: OwnerMark) -> None:
    if owner is not None and owner.migration != mark.migration:
        raise FerryError("vm.already_migrating", f"{vm.name} bears the mark of {owner.workflow}")
