"""What a vCenter or host is, and what it lets us do with one machine: read for the preflight, all of it in seconds.

What it does not answer is None, and named in ``unlooked``.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from pyVmomi import vim

from checks.privileges import CLUSTER, HOST, ROOT, STORE, VM
from contracts.errors import FerryError
from contracts.facts import Datastore, Dialled, EsxiHost, Lacking
from contracts.machine import Machine
from contracts.steps import SourceFacts
from platforms.reaching import NO_NAME, all_at_once, reach
from platforms.vsphere.exports import ExportSeen, look, seen_at_all
from platforms.vsphere.privileges import UNTOLD, lacking
from platforms.vsphere.properties import read_all, read_one, read_some
from platforms.vsphere.session import Session

VDDK_PORT = 902
MOST_HOSTS = 64
"""Of those that hold a datastore: a stretched cluster has no more, and each is dialled."""
_HOST = (
    "name", "runtime.inMaintenanceMode", "runtime.connectionState", "summary.config.product", "summary.config.port",
)  # fmt: skip
_STORE = ("name", "summary.type", "summary.accessible", "summary.maintenanceMode", "summary.freeSpace", "host")
_EXPORT_SECONDS = 6.0
_SILENT: ExportSeen | None = ExportSeen("", "", f"no answer within {_EXPORT_SECONDS:.0f} s")
Answer = TypeVar("Answer")


def facts(session: Session, machine: Machine) -> SourceFacts:
    """The system, and what it lets our account do with that machine.

    Raises:
        FerryError: what passes (``vsphere.unreachable``, …).
    """
    about: Any = session.call("log in", lambda instance: instance.RetrieveContent().about)
    unlooked: list[str] = []

    def told(what: str, ask: Callable[[], Answer]) -> Answer | None:
        return told_by(unlooked, what, ask)

    vm = vim.VirtualMachine(machine.ref)
    where = told("where it is", lambda: read_one(session, vm, ["runtime.host", "datastore"], "see where it is")) or {}
    names = {disk.datastore for disk in machine.disks}
    stores = told(
        "datastores",
        lambda: [
            (ref, each)
            for ref, each in read_some(
                session, where.get("datastore") or [], vim.Datastore, _STORE, "look at its datastores"
            )
            if each.get("name") in names
        ],
    )
    runs_on = where.get("runtime.host")
    mounting = [mount.key for _, store in stores or [] for mount in store.get("host") or []]
    refs = list({ref._moId: ref for ref in ([runs_on] if runs_on is not None else []) + mounting}.values())[:MOST_HOSTS]
    return SourceFacts(
        product=about.fullName,
        lacking=told("privileges", lambda: _lacking(session, [vm], [ref for ref, _ in stores or []], runs_on)),
        hosts=told("hosts", lambda: hosts_of(session, refs, runs_on)),
        datastores=None if stores is None else _datastores(session, machine, [each for _, each in stores]),
        clock_skew=told("clock", lambda: clock_skew(session)),
        has_vddk=session.config.vddk is not None,
        unlooked=tuple(unlooked),
    )


def told_by(unlooked: list[str], what: str, ask: Callable[[], Answer]) -> Answer | None:
    """The answer; None where the system does not give one, which is noted."""
    try:
        return ask()
    except FerryError as error:
        if error.code not in UNTOLD:
            raise
        unlooked.append(what)
        return None


def of_all(session: Session) -> SourceFacts:
    """The whole system: every host and datastore, and our privileges on its datacenters, for `ferry doctor`."""
    about: Any = session.call("log in", lambda instance: instance.RetrieveContent().about)
    unlooked: list[str] = []
    centers = [ref for ref, _ in read_all(session, vim.Datacenter, ["name"], "list the datacenters")]
    hosts = [ref for ref, _ in read_all(session, vim.HostSystem, ["name"], "list the hosts")]
    stores = [each for _, each in read_all(session, vim.Datastore, _STORE, "list the datastores")]
    return SourceFacts(
        product=about.fullName,
        lacking=told_by(unlooked, "privileges", lambda: _lacking(session, centers, centers)),
        hosts=told_by(unlooked, "hosts", lambda: hosts_of(session, hosts[:MOST_HOSTS])),
        datastores=tuple(_datastore(each, _mounted(session, each["name"])) for each in stores if "name" in each),
        clock_skew=told_by(unlooked, "clock", lambda: clock_skew(session)),
        has_vddk=session.config.vddk is not None,
        unlooked=tuple(unlooked),
    )


def _mounted(session: Session, datastore: str) -> ExportSeen | None:
    return all_at_once({0: lambda: seen_at_all(session.config.nfs, datastore)}, _SILENT, _EXPORT_SECONDS)[0]


def _lacking(session: Session, vms: list[Any], stores: list[Any], host: Any = None) -> tuple[Lacking, ...]:
    root = session.call("ask what it is", lambda instance: instance.RetrieveContent().rootFolder)
    refs = {VM: vms, STORE: stores, ROOT: [root]}
    if host is not None:  # what switches machines on: a cluster, or a host that is in none
        parent = read_one(session, host, ["parent"], "see what its host is in").get("parent")
        refs |= {CLUSTER: [parent]} if isinstance(parent, vim.ClusterComputeResource) else {HOST: [host]}
    return lacking(session, refs)


def clock_skew(session: Session) -> float:
    """Seconds that its clock is ahead of ours."""
    before = time.time()
    there: datetime = session.call("ask for the time", lambda instance: instance.CurrentTime())
    here = (before + time.time()) / 2
    if there.tzinfo is None:
        there = there.replace(tzinfo=UTC)
    return round(there.timestamp() - here, 1)


def hosts_of(session: Session, refs: list[Any], runs_on: Any = None) -> tuple[EsxiHost, ...]:
    """These hosts, each dialled as exports and VDDK would. Those that vCenter itself does not reach are not.

    A bare host is the one that we are connected to: an export of it comes from there, so only VDDK's port is of news.
    """
    bare = session.call("ask what it is", lambda instance: instance.RetrieveContent().about.apiType) == "HostAgent"
    seen = read_some(session, refs, vim.HostSystem, _HOST, "look at its hosts")
    wanted: dict[str, list[tuple[str, int]]] = {}
    for ref, each in seen:
        if each.get("runtime.connectionState", "connected") != "connected":
            continue
        name = session.address[0] if bare else each["name"]
        port = each.get("summary.config.port") or 443
        wanted[ref._moId] = [] if bare else [(session.dialled(name), port)]
        if session.config.vddk is not None:  # the library asks the resolver itself
            wanted[ref._moId].append((name, VDDK_PORT))
    answers = reach(dial for dials in wanted.values() for dial in dials)
    return tuple(
        _host(each, [(*dial, answers[dial]) for dial in wanted.get(ref._moId, [])], runs_it=ref == runs_on)
        for ref, each in seen
    )


def _host(told: dict[str, Any], dialled: list[tuple[str, int, str]], *, runs_it: bool) -> EsxiHost:
    product = told.get("summary.config.product")
    return EsxiHost(
        name=told.get("name", ""),
        runs_it=runs_it,
        version=product.version if product is not None else "",
        build=product.build if product is not None else "",
        maintenance=told.get("runtime.inMaintenanceMode"),
        resolves=not any(trouble == NO_NAME for _, _, trouble in dialled) if dialled else None,
        dialled=tuple(Dialled(address=address, port=port, trouble=why) for address, port, why in dialled),
    )


def _datastores(session: Session, machine: Machine, stores: list[dict[str, Any]]) -> tuple[Datastore, ...]:
    exports = session.config.nfs
    first = {disk.datastore: disk for disk in reversed(machine.disks)}
    looks: dict[str, Callable[[], ExportSeen | None]] = {
        name: partial(look, exports, name, disk.file, disk.capacity) for name, disk in first.items() if exports
    }
    seen = all_at_once(looks, _SILENT, _EXPORT_SECONDS)
    return tuple(_datastore(store, seen.get(store["name"])) for store in stores)


def _datastore(store: dict[str, Any], export: ExportSeen | None) -> Datastore:
    state = store.get("summary.maintenanceMode")
    return Datastore(
        name=store["name"],
        type=store.get("summary.type", ""),
        accessible=store.get("summary.accessible"),
        maintenance=None if state is None else state != "normal",
        free=store.get("summary.freeSpace"),
        export=export.where if export is not None else "",
        export_key=export.key if export is not None else "",
        export_trouble=export.trouble if export is not None else None,
        export_writable=export.writable if export is not None else None,
    )
