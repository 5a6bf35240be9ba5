"""The pool itself: which of its hosts can take the machine, what it forbids, and how its bytes get there."""

from collections.abc import Iterator

from checks.known_bad import XCP_NG, blames
from checks.registry import BLOCKER, NOTE, WARNING, check
from checks.seen import Seen
from contracts.bandwidth import parse_bandwidth
from contracts.facts import PoolHost
from contracts.machine import Machine
from contracts.sizes import spoken_size
from contracts.steps import TargetFacts

BIG = 100 << 30
"""Bytes of disks from which it matters how the target is read back."""
NEAR = 2
"""A segment that takes more than one in so many of XAPI's 24 hours is near its limit."""


def overhead(machine: Machine) -> int:
    """Bytes that Xen takes besides the guest's memory: about one in a hundred, and a little for each vCPU.

    Taken from xapi's memory model (shadow pages, 1 MiB a vCPU, a constant), which reckons about as much.
    """
    return machine.memory // 100 + (machine.cpus << 20) + (16 << 20)


def fitting(seen: Seen, target: TargetFacts) -> list[PoolHost]:
    """Hosts that see the SR and every network, and start VMs."""
    wanted = set(seen.networks.values()) - set(target.internal_networks)
    return [
        host for host in target.hosts or () if host.serves and host.sees_sr and wanted <= set(host.networks)
    ]  # fmt: skip


def _with_hosts(seen: Seen) -> TargetFacts | None:
    """The pool, where it told of its hosts and of an SR."""
    target = seen.target
    return target if target is not None and target.hosts is not None and target.sr_uuid else None


@check("preflight.sr_unplugged", BLOCKER)
def sr_unplugged(seen: Seen) -> Iterator[str]:
    """Nobody could write there."""
    target = _with_hosts(seen)
    if target is not None and not any(host.serves and host.sees_sr for host in target.hosts or ()):
        yield f"no host of pool {target.pool} that is enabled has SR {target.sr_name} plugged"


@check("preflight.sr_kind", BLOCKER)
def sr_kind(seen: Seen) -> Iterator[str]:
    """Of ISOs, or of removable storage."""
    target = seen.target
    if target is not None and target.sr_creates is False:
        yield f"SR {target.sr_name} ({target.sr_type}) holds no disks of VMs"


@check("preflight.sr_local", NOTE)
def sr_local(seen: Seen) -> Iterator[str]:
    """Then the machine runs on that host and no other."""
    target = _with_hosts(seen)
    if target is None or target.sr_shared is not False or len(target.hosts or ()) < 2:
        return
    names = ", ".join(host.name for host in target.hosts or () if host.sees_sr)
    yield f"SR {target.sr_name} is local: the machine runs on {names} only"


@check("preflight.no_fitting_host", BLOCKER)
def no_fitting_host(seen: Seen) -> Iterator[str]:
    """SR and networks must meet on one host."""
    target = _with_hosts(seen)
    if target is None or fitting(seen, target):
        return
    if any(host.serves and host.sees_sr for host in target.hosts or ()):  # else preflight.sr_unplugged says it
        yield f"no host of pool {target.pool} has both SR {target.sr_name} and all mapped networks"


@check("preflight.memory_never_fits", BLOCKER)
def memory_never_fits(seen: Seen) -> Iterator[str]:
    """Not even on an empty host."""
    target = _with_hosts(seen)
    hosts = fitting(seen, target) if target is not None else []
    most = max((host.memory_total for host in hosts if host.memory_total is not None), default=None)
    if most is not None and most < seen.machine.memory + overhead(seen.machine):
        yield f"the machine has {spoken_size(seen.machine.memory)} of memory, the largest host {spoken_size(most)}"


@check("preflight.memory_short", WARNING)
def memory_short(seen: Seen) -> Iterator[str]:
    """It would not start now."""
    target = _with_hosts(seen)
    hosts = fitting(seen, target) if target is not None else []
    wanted = seen.machine.memory + overhead(seen.machine)
    free = max((host.memory_free for host in hosts if host.memory_free is not None), default=None)
    total = max((host.memory_total for host in hosts if host.memory_total is not None), default=wanted)
    if free is not None and free < wanted <= total:
        told = f"no fitting host has more than {spoken_size(free)} free"
        yield f"the machine needs {spoken_size(wanted)} of memory, {told}"


@check("preflight.more_cpus_than_hosts", BLOCKER, overridable=True)
def more_cpus_than_hosts(seen: Seen) -> Iterator[str]:
    """XAPI starts no VM that has more vCPUs than the host has CPUs (HOST_NOT_ENOUGH_PCPUS)."""
    target = _with_hosts(seen)
    hosts = fitting(seen, target) if target is not None else []
    most = max((host.cpus for host in hosts if host.cpus is not None), default=None)
    if most is not None and most < seen.machine.cpus:
        yield f"the machine has {seen.machine.cpus} vCPUs, the largest fitting host {most} CPUs"


@check("preflight.host_disabled", NOTE)
def host_disabled(seen: Seen) -> Iterator[str]:
    """Others may do."""
    target = seen.target
    for host in (target.hosts or ()) if target is not None else ():
        if not host.serves:
            yield f"{host.name} {'is disabled (maintenance mode)' if host.live else 'is not live'}"


@check("preflight.pool_licence", BLOCKER, overridable=True)
def pool_licence(seen: Seen) -> Iterator[str]:
    """A host whose licence is over starts nothing (LICENSE_EXPIRED)."""
    target = _with_hosts(seen)
    hosts = fitting(seen, target) if target is not None else []
    if hosts and all(host.licence_over for host in hosts):
        for host in hosts:
            yield f"{host.name}: {host.licence_over}"


@check("preflight.pool_upgrading", BLOCKER)
def pool_upgrading(seen: Seen) -> Iterator[str]:
    """NOT_SUPPORTED_DURING_UPGRADE."""
    if seen.target is not None and seen.target.upgrading:
        yield f"pool {seen.target.pool} is in the middle of a rolling upgrade"


@check("preflight.pool_known_trouble", WARNING)
def pool_known_trouble(seen: Seen) -> Iterator[str]:
    """Versions that are known for trouble (:mod:`checks.known_bad`)."""
    target = seen.target
    if target is not None and "XCP-ng" in target.product:
        for bad in blames(XCP_NG, target.version, loses_data=False):
            yield f"{target.product} {target.version}: {bad.what} ({bad.source})"


@check("preflight.ha_enabled", NOTE)
def ha_enabled(seen: Seen) -> Iterator[str]:
    """The machine comes without a restart priority, and HA may refuse its start."""
    if seen.target is not None and seen.target.ha_enabled:
        yield f"pool {seen.target.pool} has HA: the target is not protected until somebody says so"


@check("preflight.mac_clash", BLOCKER, overridable=True)
def mac_clash(seen: Seen) -> Iterator[str]:
    """XAPI does not look for it (xapi.md §3.6)."""
    yield from _twins(seen, running=True)


@check("preflight.mac_twin", WARNING)
def mac_twin(seen: Seen) -> Iterator[str]:
    """It does no harm until that VM is started."""
    yield from _twins(seen, running=False)


def _twins(seen: Seen, *, running: bool) -> Iterator[str]:
    cards = (seen.target.cards or ()) if seen.target is not None else ()
    for nic in seen.machine.nics:
        for card in cards:
            owner = seen.migration or (seen.machine.owner.migration if seen.machine.owner is not None else "")
            ours = bool(owner) and card.migration == owner
            if card.running is running and card.mac.lower() == nic.mac.lower() and not ours:
                made = ", which a migration made" if card.migration else ""
                yield f"NIC {nic.index} ({nic.mac}): the pool's VM {card.vm!r}{made}, has it, too"


@check("preflight.backup_network", BLOCKER)
def backup_network(seen: Seen) -> Iterator[str]:
    """Then Ferry does not know where to send the bytes."""
    target = seen.target
    if target is not None and target.backup_network and target.sr_uuid and target.backup_doors == ():
        yield f"no host that sees SR {target.sr_name} has an address on the backup network {target.backup_network}"


@check("preflight.pool_unreachable", BLOCKER, overridable=True)
def pool_unreachable(seen: Seen) -> Iterator[str]:
    """Where the disks' bytes go: the backup network, else the hosts' own addresses."""
    target = seen.target
    if target is None or not target.sr_uuid:
        return
    if target.backup_network:
        doors = list(target.backup_doors or ())
        way = f"by the backup network {target.backup_network}"
    else:
        doors = [host.dialled for host in target.hosts or () if host.serves and host.sees_sr and host.dialled]
        way = f"that has SR {target.sr_name}"
    if doors and all(door.trouble for door in doors):
        told = "; ".join(f"{door.address}:{door.port}: {door.trouble}" for door in doors)
        yield f"the worker reaches no host {way}: {told}"


def _day(seen: Seen) -> int | None:
    """Bytes that the limits of bandwidth let pass in their worst 24 hours."""
    days = [day for text in seen.bandwidths if (day := parse_bandwidth(text).least_in_a_day()) is not None]
    return min(days, default=None)


def _at_once(seen: Seen) -> int:
    """All disks are copied at once and share the limit."""
    return min(seen.segment_bytes, max((disk.capacity for disk in seen.machine.disks), default=0)) * len(
        seen.machine.disks
    )


@check("preflight.segment_over_a_day", BLOCKER, overridable=True)
def segment_over_a_day(seen: Seen) -> Iterator[str]:
    """XAPI forgets a task after 24 hours, and with it whether the segment is durable (xapi.md §3.10)."""
    day, wanted = _day(seen), _at_once(seen)
    if day is not None and wanted > day:
        yield f"segments of {spoken_size(seen.segment_bytes)} take {wanted * 24 // day} h at the limit of bandwidth"


@check("preflight.segment_near_a_day", WARNING)
def segment_near_a_day(seen: Seen) -> Iterator[str]:
    """Other migrations on the worker make it slower still."""
    day, wanted = _day(seen), _at_once(seen)
    if day is not None and day // NEAR < wanted <= day:
        yield f"segments of {spoken_size(seen.segment_bytes)} take {wanted * 24 // day} h at the limit of bandwidth"


@check("preflight.no_ranges", NOTE)
def no_ranges(seen: Seen) -> Iterator[str]:
    """Then a proof in the downtime reads a difference, or comes after the start."""
    size = sum(disk.capacity for disk in seen.machine.disks)
    if seen.target is not None and seen.target.reads_ranges is False and size > BIG:
        yield f"no network of pool {seen.target.pool} is for NBD: {spoken_size(size)} are read back whole"
