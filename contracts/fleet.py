"""A fleet: many migrations in waves, as they are asked for, and what is known of each."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from contracts.base import Contract, Request, fields_told
from contracts.names import GOOD_ENDS, Phase, usual_workflow_id
from contracts.request import MigrateVmRequest
from contracts.windows import Windows

MOST_MEMBERS = 5000
"""A fleet carries all that it knows from run to run in one payload. Temporal takes 2 MiB, of which 5,000 fill a quarter
(deflated, trust/packing.py); but a workflow has two seconds to read it, of which they take a quarter of one."""
MOST_ASKED = 1 << 20
"""Bytes of the request, as JSON."""
MOST_NOTE = 500
MOST_AT_ONCE = 500
"""Temporal takes 2,000 children that are pending at once; far below it a fleet's history stays readable."""
_OURS = frozenset({"fleet", "approval", "quorum", "adopt"})
"""What a fleet says of itself, and no member of it may."""

Who = Annotated[str, Field(min_length=1, max_length=200)]


class Wave(Request):
    """Members that are approved together; the waves are cut over in the order in which they are written."""

    name: str = Field(min_length=1, max_length=100)
    approval: Literal["manual", "auto"] = "manual"
    windows: Windows | None = Field(default=None, description="of all its members; default: as the defaults say")


class Member(Request):
    """One VM of a fleet."""

    vm: str = Field(min_length=1, description="as in the request of one migration")
    wave: str = Field(default="", description="default: the first")
    after: tuple[str, ...] = Field(
        default=(), description="VMs of this fleet that must run on the target before its cutover"
    )
    request: dict[str, Any] = Field(default={}, description="what is otherwise for it than the defaults say")


class MigrateFleetRequest(Request):
    """Move many VMs."""

    fleet: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    defaults: dict[str, Any] = Field(default={}, description="fields of the request of one migration, for all members")
    waves: tuple[Wave, ...] = Field(default=(Wave(name="1"),), min_length=1, max_length=1000)
    members: tuple[Member, ...] = Field(max_length=MOST_MEMBERS)
    at_once: int = Field(
        default=10,
        ge=1,
        le=MOST_AT_ONCE,
        description="so many are copied for the first time, and as many cut over",
    )
    failure_budget: int | None = Field(
        default=None, ge=0, description="so many may fail; with one more the fleet pauses. Default: any number"
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [wave.name for wave in self.waves]
        if doubled := _doubled(names):
            raise ValueError(f"two waves are called {doubled!r}")
        check_members(self.members, names, self.defaults)
        asked = self.model_dump_json(include=set(MigrateFleetRequest.model_fields))
        if len(asked) > MOST_ASKED:
            raise ValueError(
                f"it is {len(asked) >> 10} KiB long, at most {MOST_ASKED >> 10} may be: make several fleets"
            )
        return self

    def wave_of(self, member: Member) -> Wave:
        """The first, where it names none."""
        return next((wave for wave in self.waves if wave.name == member.wave), self.waves[0])

    def workflow_of(self, member: Member) -> str:
        """The id of its migration."""
        return usual_workflow_id(str(member.request.get("source", self.defaults.get("source", ""))), member.vm)

    def request_of(self, member: Member, *, told_to: str = "") -> MigrateVmRequest:
        """What its migration is begun with: the fleet says yes on behalf of whoever said it to the fleet.

        Args:
            told_to: the workflow id of the fleet.
        """
        wave = self.wave_of(member)
        windows = {} if wave.windows is None else {"windows": wave.windows}
        said = {**self.defaults, **windows, **member.request, "vm": member.vm, "fleet": told_to}
        return MigrateVmRequest.model_validate(said)


def check_members(members: Iterable[Member], waves: Iterable[str], defaults: dict[str, Any]) -> None:
    """Raises ValueError: too many, a VM twice, a wave or a VM that is not there, a circle, a request that is none."""
    members, waves = tuple(members), tuple(waves)
    if len(members) > MOST_MEMBERS:
        raise ValueError(f"{len(members)} members, and at most {MOST_MEMBERS} may be: make several fleets")
    if doubled := _doubled(member.vm for member in members):
        raise ValueError(f"{doubled} is in it twice")
    if ours := _OURS & set(defaults):
        raise ValueError(f"defaults: {', '.join(sorted(ours))}: the fleet says that, by its waves")
    place = {wave: number for number, wave in enumerate(waves)}
    there = {member.vm: place.get(member.wave, 0) for member in members}
    for member in members:
        if member.wave and member.wave not in waves:
            raise ValueError(f"{member.vm}: there is no wave {member.wave!r}")
        if missing := [name for name in member.after if name not in there]:
            raise ValueError(f"{member.vm} comes after {missing[0]}, which is not in the fleet")
        if late := [name for name in member.after if there[name] > there[member.vm]]:
            raise ValueError(f"{member.vm} comes after {late[0]}, which is in a later wave: both would wait for ever")
        if ours := _OURS & set(member.request):
            raise ValueError(f"{member.vm}: {', '.join(sorted(ours))}: the fleet says that, by its waves")
        try:
            MigrateVmRequest.model_validate({**defaults, **member.request, "vm": member.vm})
        except ValidationError as error:
            raise ValueError(f"{member.vm}: {fields_told(error, 'request')}") from None
    if circle := a_circle({member.vm: member.after for member in members}):
        raise ValueError(f"each waits for the next, in a circle: {' → '.join(circle)}")


def a_circle(after: dict[str, tuple[str, ...]]) -> list[str]:
    """One that there is, its first name again at its end; or none."""
    done: set[str] = set()
    for begin in after:
        path: list[str] = []
        stack = [(begin, iter(after.get(begin, ())))] if begin not in done else []
        path += [begin] if stack else []
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                done.add(name)
                stack.pop()
                path.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            elif following not in done:
                stack.append((following, iter(after.get(following, ()))))
                path.append(following)
    return []


def _doubled(names: Iterable[str]) -> str:
    return next((name for name, count in Counter(names).items() if count > 1), "")


class Standing(StrEnum):
    """Where a member is, as its fleet sees it."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


ENDED = frozenset({Standing.DONE, Standing.FAILED, Standing.CANCELLED, Standing.SKIPPED})


class MemberTold(Contract):
    """What a migration tells its fleet, whenever it changes."""

    workflow: str
    run: str = Field(default="", description="its first run: a later attempt has another")
    phase: Phase
    needs_human: str = ""
    message: str = ""
    ticket: str = Field(default="", description="what an approval would approve; empty: it cannot be approved yet")
    approved: bool = False
    refused: bool = Field(default=False, description="a person's no stands, which outranks `approval: auto`")
    outcome: str = Field(default="", description="as in the report, once it is over")
    code: str = Field(default="", description="of its error, where it has one")
    bytes_sent: int = 0
    bytes_total: int = Field(default=0, description="allocated on its disks, as far as its passes have shown")
    rate: float = Field(default=0.0, description="bytes per second of its latest passes")
    passes: int = 0
    downtime_s: float | None = Field(default=None, description="once it is over")

    def news(self) -> "MemberTold":
        """Without the numbers, which go along and are no reason to tell."""
        return self.model_copy(update={"bytes_sent": 0, "bytes_total": 0, "rate": 0.0, "passes": 0, "downtime_s": None})


class Yes(Contract):
    """A person's yes, to exactly what a ticket stands for."""

    who: str
    note: str = ""
    ticket: str
    at: datetime
    sent: bool = False
    heard: bool = Field(default=False, description="the migration counts it")


class MemberState(Contract):
    """One member, as its fleet knows it."""

    standing: Standing = Standing.WAITING
    tries: int = 0
    told: MemberTold | None = None
    yes: Yes | None = None
    code: str = ""
    message: str = ""
    began: datetime | None = None
    copied: datetime | None = Field(default=None, description="when its first copy was seen to be through")
    ended: datetime | None = None
    approved_by: str = Field(default="", description="whose yes it was; of a rule, its words")

    @property
    def copying(self) -> bool:
        """Whether it takes one of the turns of those that are copied for the first time."""
        if self.standing is not Standing.RUNNING:
            return False
        return self.told is None or (self.told.phase in BEFORE_COPIED and not self.told.needs_human)

    @property
    def cutting_over(self) -> bool:
        """Whether it takes one of the turns of those that are cut over, or wait for their window with a yes."""
        if self.standing is not Standing.RUNNING or self.told is None or self.told.needs_human:
            return False
        return self.told.phase in _CUTTING or (
            self.yes is not None and self.yes.sent and self.told.phase in _APPROVABLE
        )

    @property
    def through(self) -> bool:
        """Whether others need wait for it no more: it has ended, or runs on the target and is watched only."""
        if self.standing is Standing.RUNNING and self.told is not None:
            return self.told.phase is Phase.PROBATION and not self.told.needs_human
        return self.standing in ENDED

    @property
    def asks(self) -> bool:
        """Whether it waits for a yes, be it a person's or the rule's."""
        return (
            self.standing is Standing.RUNNING
            and self.told is not None
            and self.told.phase in _APPROVABLE
            and bool(self.told.ticket)
            and self.yes is None
        )


_APPROVABLE = frozenset({Phase.DELTA_SYNC, Phase.AWAITING_APPROVAL})
BEFORE_COPIED = frozenset({Phase.PREFLIGHT, Phase.SHELL, Phase.INITIAL_SYNC})
"""Phases of those that have not been copied once."""
_CUTTING = frozenset({Phase.CUTOVER, Phase.START})


class Unsent(Contract):
    """A word to a member that a run had no room for."""

    vm: str
    signal: str
    said: dict[str, Any] = {}


class FleetState(Contract):
    """All that must survive continue-as-new. ``members``: by VM."""

    schema_version: int = 1
    members: dict[str, MemberState] = {}
    added: tuple[Member, ...] = ()
    paused: bool = False
    paused_by: str = Field(default="", description="who, or the code of why")
    failures: int = Field(default=0, description="members that failed since the last resume, each time counted")
    cancelled: bool = False
    letters: tuple[Unsent, ...] = Field(default=(), description="what is still to be told members")
    runs: int = 1


class MigrateFleetInput(MigrateFleetRequest):
    """The request, and after a continue-as-new the state that is carried on."""

    state: FleetState | None = None

    @model_validator(mode="before")
    @classmethod
    def _carried_by_a_newer_one(cls, said: Any) -> Any:
        """As of one migration: what a newer worker said and we do not know, we pass over."""
        if isinstance(said, dict) and isinstance(said.get("state"), dict):
            return {key: value for key, value in said.items() if key in cls.model_fields}
        return said


def standing_of(outcome: str) -> Standing:
    """Of an ended migration."""
    if outcome in GOOD_ENDS:
        return Standing.DONE
    return Standing.CANCELLED if outcome in ("cancelled", "rolled-back") else Standing.FAILED


# -- what a person says to a fleet


class Chosen(Request):
    """Which members. Nothing named: none; ``everyone``: all of them."""

    waves: tuple[str, ...] = ()
    vms: tuple[str, ...] = ()
    everyone: bool = False


class FleetApprove(Chosen):
    """Yes to the cutover of each of these that can be approved now, for what its ticket stands for."""

    who: Who
    note: str = Field(default="", max_length=MOST_NOTE)


class FleetSteer(Chosen):
    """Who says so. Without names, pause and resume are of the fleet itself: what it begins and approves."""

    who: Who
    note: str = Field(default="", max_length=MOST_NOTE)


class FleetAdd(Request):
    """More VMs, while it runs."""

    who: Who
    members: tuple[Member, ...] = Field(min_length=1, max_length=MOST_MEMBERS)


def unknown(said: Chosen, waves: Iterable[str], vms: Iterable[str]) -> str:
    """The first name of it that is none; or nothing."""
    for names, known, kind in ((said.waves, set(waves), "wave"), (said.vms, set(vms), "VM")):
        for name in names:
            if name not in known:
                return f"there is no {kind} {name!r} in this fleet"
    return ""


class FleetAck(Contract):
    """Whom it was about, and whom it passed over, with the reason."""

    taken: tuple[str, ...] = ()
    passed_over: dict[str, str] = {}


class WaveStatus(Contract):
    """One wave in numbers."""

    name: str
    members: int = 0
    standing: dict[str, int] = {}
    phases: dict[str, int] = Field(default={}, description="of those that run")
    asks: int = Field(default=0, description="that wait for a person's yes")
    needs_human: int = 0


class FleetStatus(Contract):
    """What the query ``status`` answers: numbers, and the first names of those that wait for a human."""

    fleet: str
    paused: bool = False
    paused_by: str = ""
    members: int = 0
    standing: dict[str, int] = {}
    waves: tuple[WaveStatus, ...] = ()
    copying: int = 0
    cutting_over: int = 0
    at_once: int
    asks: tuple[str, ...] = ()
    needs_human: dict[str, str] = Field(default={}, description="VM to code")
    failed: dict[str, str] = Field(default={}, description="VM to code")
    runs: int = 1
    over: bool = False


class FleetReport(Contract):
    """The end of a fleet. ``partial``: some came through and some did not."""

    outcome: Literal["done", "partial", "failed", "cancelled"]
    fleet: str
    members: int = 0
    standing: dict[str, int] = {}
    not_done: dict[str, str] = Field(default={}, description="VM to code, of those that are not done")
    bytes_sent: int = 0
