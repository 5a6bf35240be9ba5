"""The system that the machine comes from: its licence, its hosts, what our account may do there."""

from collections.abc import Iterator

from checks.registry import BLOCKER, WARNING, check
from checks.seen import Seen
from contracts.machine import Power


@check("preflight.free_licence_running", BLOCKER)
def free_licence_running(seen: Seen) -> Iterator[str]:
    """The licence lets us neither freeze it nor switch it off."""
    if seen.machine.read_only and seen.machine.power is Power.ON:
        yield f"{seen.machine.name} is on"


@check("preflight.free_licence", WARNING)
def free_licence(seen: Seen) -> Iterator[str]:
    """What is off moves all the same."""
    if seen.machine.read_only and not seen.machine.in_files and seen.machine.power is not Power.ON:
        yield f"nothing keeps {seen.machine.name} off but you: leave it off"
