"""What a check looks at: both sides as they were read, and what was asked for."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from contracts.machine import Machine
from contracts.steps import SourceFacts, TargetFacts


@dataclass(frozen=True)
class Seen:
    """Both sides. What is None was not looked at (an assessment without a target, an RVTools file): no check speaks
    of what it does not know.

    ``networks``: source network to target network uuid; ``unmapped``: the source networks without one.
    ``bandwidths``: the limits that hold, of the request and of the worker. ``smoke``: the request asks for a smoke
    test, and leaves it to the power of the source whether the target is started.
    """

    machine: Machine
    source: SourceFacts | None = None
    target: TargetFacts | None = None
    migration: str = ""
    sr: str | None = None
    networks: dict[str, str] = field(default_factory=dict)
    unmapped: tuple[str, ...] = ()
    template: str = ""
    asked_template: str = ""
    vmware_tools: str = "leave"
    approved_steps: tuple[str, ...] = ()
    segment_bytes: int = 0
    bandwidths: tuple[str, ...] = ()
    smoke: bool = False
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
