"""Clocks that differ from the worker's."""

from collections.abc import Iterator

from checks.registry import NOTE, check
from checks.seen import Seen

SKEW = 60.0
"""Seconds. The age of snapshots and tasks is told by their system's clock, a window of bandwidth by the worker's."""


def apart(seconds: float) -> str:
    """``90 s ahead of the worker``."""
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the worker"


@check("preflight.clock_skew", NOTE)
def clock_skew(seen: Seen) -> Iterator[str]:
    """A note, as it may come and go between two looks."""
    source, target = seen.source, seen.target
    if source is not None and source.clock_skew is not None and abs(source.clock_skew) > SKEW:
        yield f"the source's clock is {apart(source.clock_skew)}"
    for host in (target.hosts or ()) if target is not None else ():
        if host.clock_skew is not None and abs(host.clock_skew) > SKEW:
            yield f"the clock of {host.name} is {apart(host.clock_skew)}"
