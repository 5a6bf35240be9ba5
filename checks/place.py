"""Where it runs: its host, its cluster, and their rules."""

from collections.abc import Iterator

from checks.registry import NOTE, WARNING, check
from checks.seen import Seen


@check("preflight.host_affinity", WARNING)
def host_affinity(seen: Seen) -> Iterator[str]:
    """Mostly there for a licence."""
    if seen.machine.place.host_rules:
        yield f"rules that tie it to hosts are lost: {', '.join(seen.machine.place.host_rules)}"


@check("preflight.machine_affinity", NOTE)
def machine_affinity(seen: Seen) -> Iterator[str]:
    """Kept together, or kept apart."""
    if seen.machine.place.machine_rules:
        yield f"rules that tie it to other VMs are lost: {', '.join(seen.machine.place.machine_rules)}"


@check("preflight.drs", NOTE)
def drs(seen: Seen) -> Iterator[str]:
    """It may move between two passes, which does no harm."""
    if seen.machine.place.drs:
        yield f"DRS places it in cluster {seen.machine.place.cluster}; the target stays where it is started"


@check("preflight.dpm", NOTE)
def dpm(seen: Seen) -> Iterator[str]:
    """No counterpart."""
    if seen.machine.place.dpm:
        yield f"cluster {seen.machine.place.cluster} switches idle hosts off (DPM); the pool does not"


@check("preflight.ha", NOTE)
def ha(seen: Seen) -> Iterator[str]:
    """Ferry sets no restart priority on the target."""
    if seen.machine.place.ha:
        yield f"HA of cluster {seen.machine.place.cluster} restarts it; the target is not protected"
