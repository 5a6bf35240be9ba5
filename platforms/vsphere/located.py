"""A machine found on the source: by name, instanceUuid or moref; afterwards always by instanceUuid."""

from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from contracts.machine import LOST
from platforms.vsphere.inventory import PATHS
from platforms.vsphere.properties import VM, read_all, read_one
from platforms.vsphere.session import Session


@dataclass(frozen=True)
class Located:
    """Where a machine is. ``datacenter`` is its whole inventory path, as `/folder` wants it; ``folder`` its parent."""

    ref: Any
    name: str
    datacenter: str
    folder: Any = None

    def managed(self, instance: Any) -> Any:
        """The machine on the session of that ServiceInstance."""
        return vim.VirtualMachine(self.ref._moId, instance._stub)

    def properties(self, session: Session) -> dict[str, Any]:
        """All that :mod:`platforms.vsphere.inventory` reads, fresh.

        Raises:
            FerryError: ``vm.gone``; ``vm.inaccessible`` for one whose files or entry are lost; ``vsphere.unreachable``
                while its host is not connected.
        """
        found = read_one(session, self.ref, PATHS, f"read {self.name}")
        state = found.get("runtime.connectionState", "connected")
        if "config.instanceUuid" not in found or state != "connected":
            if state in LOST:
                raise FerryError("vm.inaccessible", f"{self.name} is {state}")
            # config is unset for inaccessible and orphaned VMs (vsphere.md §4)
            raise FerryError("vsphere.unreachable", f"{self.name} is {state}: is its host connected?")
        return found


def by_id(session: Session, machine_id: str, known: Located | None = None) -> Located:
    """By instanceUuid. Raises ``vm.gone``.

    Args:
        known: where it was last: one call tells whether it is still there, since names and morefs change when a
            machine is renamed, moved or registered again.
    """
    if known is not None:
        try:
            told = read_one(session, known.ref, ["config.instanceUuid", "name", "parent"], f"find {known.name}")
        except FerryError as error:
            if error.code != "vm.gone":
                raise
        else:
            if told.get("config.instanceUuid") == machine_id and told.get("parent") == known.folder:
                return Located(known.ref, told["name"], known.datacenter, known.folder)
    ref = session.call(
        "find the VM",
        lambda instance: instance.RetrieveContent().searchIndex.FindByUuid(None, machine_id, True, True),
    )
    if ref is None:
        raise FerryError("vm.gone", f"no VM has the instanceUuid {machine_id}")
    return _located(session, ref)


def by_anything(session: Session, vm: str) -> Located:
    """By name, instanceUuid or moref. Raises ``vm.unknown``, ``vm.ambiguous``."""
    wanted = vm.strip()
    found = [
        (ref, properties)
        for ref, properties in read_all(session, VM, ["name", "config.instanceUuid"], "list the VMs")
        if wanted in (properties.get("name"), properties.get("config.instanceUuid"), ref._moId)
    ]
    if not found:
        raise FerryError("vm.unknown", f"{session.name} has no VM {wanted!r}")
    if len(found) > 1:
        told = ", ".join(f"{properties.get('config.instanceUuid')} ({ref._moId})" for ref, properties in found)
        raise FerryError("vm.ambiguous", f"{len(found)} VMs are called {wanted!r}: {told}")
    return _located(session, found[0][0])


def _located(session: Session, ref: Any) -> Located:
    told = read_one(session, ref, ["name", "parent"], "find the VM")
    return Located(ref, told["name"], _datacenter_of(session, ref), told.get("parent"))


def _datacenter_of(session: Session, ref: Any) -> str:
    """``Folder/DC``: the names from the root folder (left out) down to the datacenter."""
    names: list[str] = []
    inside = False
    for _ in range(64):  # no inventory is that deep
        found = read_one(session, ref, ["name", "parent"], "find the datacenter")
        parent = found.get("parent")
        inside = inside or isinstance(ref, vim.Datacenter)
        if inside and parent is not None:
            names.insert(0, found["name"])
        if parent is None:
            break
        ref = parent
    return "/".join(names)
