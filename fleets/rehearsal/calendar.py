"""What a rehearsal comes to: when each wave ends, what is missed, and what is short."""

from datetime import datetime

from pydantic import Field

from contracts.base import Contract


class WaveRehearsed(Contract):
    """One wave. Times in UTC; None: it never comes to that."""

    name: str
    machines: int
    through: int = Field(description="that run on the target in the end")
    begins: datetime | None = Field(default=None, description="the first is copied")
    copied: datetime | None = Field(default=None, description="the last is copied for the first time")
    first_cutover: datetime | None = None
    ends: datetime | None = Field(default=None, description="the last runs on the target")
    windows_missed: int = Field(default=0, description="that went by for a machine that was approved")


class Peak(Contract):
    """The most of a limit that was used at once, of how many, and the hours in which all of it was held and somebody
    waited for it."""

    most: int
    limit: int | None = None
    waited_h: float = 0.0


class Downtime(Contract):
    """Of one machine, in seconds."""

    vm: str
    seconds: float


class Rehearsed(Contract):
    """The calendar of a fleet."""

    fleet: str
    machines: int
    through: int
    starts: datetime
    ends: datetime | None = None
    bytes_sent: int = 0
    paused: str = Field(default="", description="why it stopped itself")
    waves: tuple[WaveRehearsed, ...] = ()
    peaks: dict[str, Peak] = {}
    downtimes: tuple[Downtime, ...] = Field(default=(), description="the longest first")
    through_at: dict[str, datetime] = Field(default={}, description="VM to when it is proven and runs on the target")
    never: dict[str, str] = Field(default={}, description="VM to what keeps it from being cut over")
    events: int = 0
