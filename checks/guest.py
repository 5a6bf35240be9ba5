"""What runs inside, and what is mounted or attached that belongs to it."""

from collections.abc import Iterator

from checks.registry import NOTE, WARNING, check
from checks.seen import Seen
from contracts.machine import Power


@check("preflight.tools_not_running", WARNING)
def tools_not_running(seen: Seen) -> Iterator[str]:
    """Then the power-off ladder has no first rung."""
    if seen.machine.power is Power.ON and not seen.machine.tools_running:
        yield "the guest cannot be asked to shut down"


@check("preflight.iso_mounted", NOTE)
def iso_mounted(seen: Seen) -> Iterator[str]:
    """It is a file of the source's."""
    if seen.machine.mounted_iso:
        yield f"{seen.machine.mounted_iso} stays behind"


@check("preflight.tags_unread", NOTE)
def tags_unread(seen: Seen) -> Iterator[str]:
    """Then the target gets none."""
    if seen.machine.tags_unread:
        yield f"the target gets no tags: {seen.machine.tags_unread}"
