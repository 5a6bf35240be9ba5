"""What a rehearsal is told: the fleet, what its machines hold, and how fast things go."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.bandwidth import Timetable
from contracts.fleet import MigrateFleetRequest
from cutovers.prediction import SHUTDOWN, START

MIB = 1 << 20
PREPARING = 60.0
"""Seconds of preflight, claim and shell."""
BESIDE = 30.0
"""Seconds of a pass beside its bytes: freeze, seal, thaw."""


@dataclass(frozen=True)
class Rates:
    """How fast it goes, measured or given.

    Attributes:
        alone: bytes a second of one machine that is copied alone.
        together: bytes a second of all that are copied at once.
        limit: what a calendar lets pass of it.
        changes: bytes a second that a guest writes anew.
        preparing: seconds before a first copy.
        beside: seconds of a pass beside its bytes.
        shutdown: seconds that a guest takes to go off.
        start: seconds between the last proof before the start and the target that runs.
    """

    alone: float = 100.0 * MIB
    together: float = 400.0 * MIB
    limit: Timetable = field(default_factory=Timetable)
    changes: float = 0.05 * MIB
    preparing: float = PREPARING
    beside: float = BESIDE
    shutdown: float = SHUTDOWN
    start: float = START


@dataclass(frozen=True)
class Holds:
    """One machine.

    Attributes:
        allocated: bytes that its disks hold.
        warm: it is copied while it runs; else in its cutover.
        on: it runs, so that its cutover is a downtime.
        needs: resources that its first copy and its cutover use, as ``[capacity]`` calls them.
    """

    allocated: int
    warm: bool = True
    on: bool = True
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Given:
    """All of it.

    Attributes:
        holds: by VM.
        rates: how fast.
        starts: when the fleet is applied; with a time zone.
        answer: how long people take to say yes once they are asked.
        fails: VM to why its preflight fails.
        limits: by resource, how many permits there are; what is not named is without limit. Nobody else holds any.
        most: after which it is given up.
    """

    request: MigrateFleetRequest
    holds: Mapping[str, Holds]
    rates: Rates
    starts: datetime
    answer: timedelta = timedelta(0)
    fails: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    most: timedelta = timedelta(days=366)
