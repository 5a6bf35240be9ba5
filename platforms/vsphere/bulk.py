"""Many machines at once: one call for a few hundred, where :mod:`platforms.vsphere.located` makes several for each.

What is wrong with one machine is told of it, and keeps nobody from the others.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from pyVmomi import vim, vmodl

from contracts.assessment import Named, Unread
from contracts.errors import FerryError
from contracts.machine import LOST, Machine
from platforms.vsphere import details, inventory, licence, place
from platforms.vsphere.faults import translated
from platforms.vsphere.properties import PAGE, VM, pc, read_all
from platforms.vsphere.session import Session

_PATHS = tuple(dict.fromkeys([*inventory.PATHS, *details.DETAIL_PATHS]))

Read = tuple[Any, dict[str, Any], Any]
"""A machine, its properties, and the fault of one that may not be read."""


def names(session: Session) -> tuple[list[Named], int]:
    """All machines but templates, by name; and how many templates there are."""
    found = read_all(session, VM, ["name", "config.instanceUuid", "config.template"], "list the VMs")
    kept = [
        Named(ref=ref._moId, name=told.get("name") or ref._moId, machine_id=told.get("config.instanceUuid") or "")
        for ref, told in found
        if not told.get("config.template")
    ]
    return sorted(kept, key=lambda each: (each.name, each.ref)), len(found) - len(kept)


def machines(session: Session, refs: Sequence[str]) -> list[Machine | Unread]:
    """Each machine whole but for its tags, which are a call of their own for each; or why it could not be read."""
    listed = read_all(session, vim.Datastore, ["name", "summary.type", "summary.accessible"], "list the datastores")
    stores = {told["name"]: told["summary.type"] for _, told in listed if "name" in told and "summary.type" in told}
    unreachable = {told["name"] for _, told in listed if told.get("summary.accessible") is False}
    hosts = {ref._moId: told for ref, told in read_all(session, vim.HostSystem, ["name", "parent"], "list the hosts")}
    clusters = place.clusters(session)
    read = list(_read(session, refs))
    networks = _networks(session, [properties for _, properties, _ in read])
    read_only = licence.is_read_only(session)
    found: list[Machine | Unread] = []
    seen = set()
    for ref, properties, fault in read:
        seen.add(ref._moId)
        name = str(properties.get("name") or ref._moId)
        try:
            if fault is not None:
                raise translated(fault, f"read {name}")
            _check_connected(name, properties)
            host = hosts.get(properties["runtime.host"]._moId, {}) if properties.get("runtime.host") else {}
            machine = inventory.machine_of(session.name, ref, properties, stores, networks, str(host.get("name") or ""))
            machine = details.with_details(machine, properties, unreachable)
            cluster = clusters.get(host["parent"]._moId) if host.get("parent") else None
            where = place.in_cluster(ref, cluster) if cluster is not None else machine.place
            found.append(machine.model_copy(update={"read_only": read_only, "place": where}))
        except FerryError as error:
            found.append(Unread(ref=ref._moId, name=name, code=error.code, message=error.message))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            told = f"{name}: {type(error).__name__}: {error}"
            found.append(Unread(ref=ref._moId, name=name, code="assess.unreadable", message=told))
    found += [
        Unread(ref=ref, name=ref, code="vm.gone", message=f"{ref} was removed while the inventory was read")
        for ref in refs
        if ref not in seen
    ]
    return found


def _check_connected(name: str, properties: dict[str, Any]) -> None:
    state = properties.get("runtime.connectionState", "connected")
    if "config.instanceUuid" not in properties or state != "connected":
        raise FerryError("vm.inaccessible" if state in LOST else "vm.not_connected", f"{name} is {state}")


def _read(session: Session, refs: Sequence[str]) -> Iterator[Read]:
    """A machine that is gone ends the call for all: then they are asked for by halves."""
    try:
        yield from session.call("read the VMs", lambda instance: _collected(instance, refs))
    except FerryError as error:
        if error.code != "vm.gone":
            raise
        if len(refs) > 1:
            middle = len(refs) // 2
            yield from _read(session, refs[:middle])
            yield from _read(session, refs[middle:])


def _collected(instance: Any, refs: Sequence[str]) -> list[Read]:
    collector = instance.RetrieveContent().propertyCollector
    objects = [pc.ObjectSpec(obj=vim.VirtualMachine(ref, instance._stub), skip=False) for ref in refs]
    spec = pc.FilterSpec(objectSet=objects, propSet=[pc.PropertySpec(type=VM, all=False, pathSet=list(_PATHS))])
    found: list[Read] = []
    page = collector.RetrievePropertiesEx([spec], pc.RetrieveOptions(maxObjects=PAGE))
    while page is not None:
        for each in page.objects or []:
            forbidden = [
                lack.fault for lack in each.missingSet or [] if isinstance(lack.fault, vmodl.fault.SecurityError)
            ]
            found.append((each.obj, {prop.name: prop.val for prop in each.propSet or []}, next(iter(forbidden), None)))
        if not page.token:
            break
        page = collector.ContinueRetrievePropertiesEx(page.token)
    return found


def _networks(session: Session, machines: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Names of the port groups and opaque networks that some of their NICs know by a key only."""
    devices = [device for each in machines for device in each.get("config.hardware.device") or []]
    if not any(inventory.far_network(each) for each in devices):
        return {}
    groups = read_all(session, vim.dvs.DistributedVirtualPortgroup, ["key", "name"], "list the port groups")
    opaque = read_all(session, vim.OpaqueNetwork, ["summary.opaqueNetworkId", "name"], "list the opaque networks")
    return {
        **{told["key"]: told["name"] for _, told in groups},
        **{told["summary.opaqueNetworkId"]: told["name"] for _, told in opaque},
    }
