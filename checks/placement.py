"""Whether the pool can take the machine: SR, networks, template."""

from collections.abc import Iterator

from checks.registry import BLOCKER, WARNING, check
from checks.seen import Seen
from contracts.sizes import spoken_size
from contracts.steps import TargetFacts


@check("preflight.unknown_sr", BLOCKER)
def unknown_sr(seen: Seen) -> Iterator[str]:
    """Nothing can be made without one."""
    target = seen.target
    if target is not None and not target.sr_uuid:
        named = f"no SR is called {seen.sr!r}" if seen.sr else "no SR was named and the pool has no default"
        yield f"{named}; pool {target.pool} has {', '.join(target.srs) or 'none'}"


@check("preflight.disk_too_large", BLOCKER)
def disk_too_large(seen: Seen) -> Iterator[str]:
    """By what the SR's driver holds."""
    target = seen.target
    if target is None or not target.sr_uuid:
        return
    for disk in seen.machine.disks:
        if disk.capacity > target.disk_most:
            yield (
                f"disk {disk.slot} has {spoken_size(disk.capacity)}, "
                f"SR {target.sr_name} takes {spoken_size(target.disk_most)}"
            )


def _short_of(seen: Seen, target: TargetFacts) -> str:
    """A snapshot is taken before the start: a thick SR reserves every disk twice (xapi.md §3.8)."""
    wanted = sum(disk.capacity for disk in seen.machine.disks) * (2 if target.thick else 1)
    if not target.sr_uuid or wanted <= target.sr_free:
        return ""
    return f"SR {target.sr_name} has {spoken_size(target.sr_free)} free, {spoken_size(wanted)} may be needed"


@check("preflight.sr_too_small", BLOCKER)
def sr_too_small(seen: Seen) -> Iterator[str]:
    """A thick SR reserves all of it at once."""
    if seen.target is not None and seen.target.thick and (short := _short_of(seen, seen.target)):
        yield short


@check("preflight.sr_overcommitted", WARNING)
def sr_overcommitted(seen: Seen) -> Iterator[str]:
    """A thin one holds only what is written: it may do, and may run full."""
    if seen.target is not None and not seen.target.thick and (short := _short_of(seen, seen.target)):
        yield short


@check("preflight.no_template", BLOCKER)
def no_template(seen: Seen) -> Iterator[str]:
    """A shell is made from one."""
    if seen.target is not None and seen.target.sr_uuid and not seen.template:
        asked = f" has no template {seen.asked_template!r}" if seen.asked_template else ""
        yield f"pool {seen.target.pool}{asked}"


@check("preflight.unmapped_network", BLOCKER)
def unmapped_network(seen: Seen) -> Iterator[str]:
    """No card is left out, and none is guessed."""
    if seen.target is None:
        return
    for name in seen.unmapped:
        yield f"network {name!r} has no counterpart in pool {seen.target.pool}"
