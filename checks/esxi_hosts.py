"""The hosts and datastores that a machine lives on, as vCenter tells of them and as the worker finds them."""

from collections.abc import Iterator

from checks.known_bad import VSPHERE, blames
from checks.registry import BLOCKER, WARNING, check
from checks.seen import Seen
from contracts.facts import EsxiHost
from contracts.sizes import spoken_size

ROOM_LEAST = 1 << 30
"""Bytes that a datastore must have free for a snapshot, however small the machine."""
ROOM_SHARE = 10
"""The share of a machine's disks, as one in so many, that its guest is taken to write while a snapshot of ours exists.

A snapshot grows by what the guest writes, up to the size of the disk. A pass of ours lasts a day at most (SAFETY 10),
and guests that rewrite a tenth of their disks in a day are rare; the datastore's room is watched besides.
"""


def _hosts(seen: Seen) -> tuple[EsxiHost, ...]:
    return (seen.source.hosts or ()) if seen.source is not None else ()


def _any_machine(seen: Seen) -> bool:
    """Whether it is not one machine that is looked at, but all: `ferry doctor`."""
    return not seen.machine.machine_id


@check("preflight.host_name", WARNING)
def host_name(seen: Seen) -> Iterator[str]:
    """An export's lease names the host, and VDDK is sent to it: who cannot find it reads nothing there."""
    for host in _hosts(seen):
        if host.resolves is False:
            yield f"the worker finds no address of {host.name}{', which runs it' if host.runs_it else ''}"


@check("preflight.host_port", WARNING)
def host_port(seen: Seen) -> Iterator[str]:
    """443 for exports; 902 only where VDDK is configured."""
    for host in _hosts(seen):
        for each in host.dialled:
            if each.trouble and host.resolves is not False:
                yield f"{host.name} at {each.address}:{each.port}: {each.trouble}"


@check("preflight.host_maintenance", WARNING)
def host_maintenance(seen: Seen) -> Iterator[str]:
    """A machine that is switched off there is not switched on again."""
    for host in _hosts(seen):
        if (host.runs_it or _any_machine(seen)) and host.maintenance:
            yield f"{host.name} is in maintenance mode"


@check("preflight.source_known_bad", BLOCKER, overridable=True)
def source_known_bad(seen: Seen) -> Iterator[str]:
    """Versions in which data is lost (:mod:`checks.known_bad`)."""
    for host in _hosts(seen):
        if host.runs_it or _any_machine(seen):
            for bad in blames(VSPHERE, host.version, host.build, loses_data=True):
                yield f"{host.name} is {host.version} build {host.build}: {bad.what} ({bad.source})"


@check("preflight.source_known_trouble", WARNING)
def source_known_trouble(seen: Seen) -> Iterator[str]:
    """Versions that are known for other trouble."""
    for host in _hosts(seen):
        if host.runs_it or _any_machine(seen):
            for bad in blames(VSPHERE, host.version, host.build, loses_data=False):
                yield f"{host.name} is {host.version} build {host.build}: {bad.what} ({bad.source})"


@check("preflight.datastore_maintenance", WARNING)
def datastore_maintenance(seen: Seen) -> Iterator[str]:
    """Storage vMotion carries the disks off, and a moved disk is compared whole."""
    for store in (seen.source.datastores or ()) if seen.source else ():
        if store.maintenance:
            yield f"{store.name} is in maintenance mode, or about to be"


@check("preflight.datastore_full", BLOCKER, overridable=True)
def datastore_full(seen: Seen) -> Iterator[str]:
    """A datastore that runs full stops every machine on it (SAFETY 10)."""
    if seen.source is None or seen.machine.read_only:  # then there is no snapshot
        return
    for store in seen.source.datastores or ():
        held = sum(disk.capacity for disk in seen.machine.disks if disk.datastore == store.name)
        wanted = max(ROOM_LEAST, held // ROOM_SHARE)
        if store.free is not None and store.accessible is not False and store.free < wanted:
            yield (
                f"{store.name} has {spoken_size(store.free)} free; a snapshot of {spoken_size(held)} of disks "
                f"may need {spoken_size(wanted)}"
            )
