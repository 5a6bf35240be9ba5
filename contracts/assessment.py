"""What a look at a whole inventory found: a row a VM, and totals by verdict and by reason. Pure."""

import base64
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field, TypeAdapter

from contracts.base import Contract, Request
from contracts.machine import Machine
from contracts.plan_seen import PinnedVm
from contracts.sites import Site
from contracts.sizes import spoken_size
from contracts.steps import Check, TargetFacts

SCHEMA_VERSION: Literal[1] = 1
"""Of the JSON that `ferry assess` writes: raised when a field changes its meaning, not when one is added."""
READY, WARNING, BLOCKED = "ready", "warning", "blocked"
MOST_UNPACKED = 64 << 20
"""Bytes of one page: hundreds of times what one is."""


class AssessRequest(Request):
    """Look at many VMs, touch nothing. ``source`` None: all sources; ``target`` None: the source side only."""

    source: str | None = Field(default=None, description="name of [sources.NAME] in the worker's ferry.toml")
    target: str | None = Field(default=None, description="name of [targets.NAME]")
    sr: str | None = None
    networks: dict[str, str] = {}
    template: str | None = Field(default=None, description="as in the request of one migration")
    vms: tuple[str, ...] = Field(default=(), description="names, globs, instanceUuids or morefs; none: all")
    tags: tuple[str, ...] = Field(default=(), description="only VMs that have one of these tags; globs")
    folders: tuple[str, ...] = Field(default=(), description="only VMs in one of these folders, or below; globs")
    approved_steps: tuple[str, ...] = Field(default=(), description="as in the request of one migration")
    site: Site = ""
    pins: bool = Field(default=False, description="with what a plan pins of each VM, its tags and folder too")


class Named(Contract):
    """A VM of an inventory, before it was read."""

    ref: str
    name: str
    machine_id: str = ""


class Unread(Contract):
    """A VM that could not be read, and why."""

    ref: str
    name: str
    code: str
    message: str


class Assessed(Contract):
    """One VM: what it is, and what stands in its way."""

    source: str
    name: str
    machine_id: str = ""
    ref: str = ""
    power: str = Field(default="unknown", description="on, off, suspended or unknown")
    guest: str = ""
    cpus: int = 0
    memory: int = Field(default=0, description="bytes")
    disks: int = 0
    capacity: int = Field(default=0, description="bytes of all disks together")
    verdict: str = Field(default=READY, description="ready, warning or blocked; a note alone leaves a VM ready")
    checks: tuple[Check, ...] = ()
    pinned: PinnedVm | None = Field(default=None, description="for a plan, where it was asked for")


class Sum(Contract):
    """So many VMs, with so many disks."""

    machines: int = 0
    disks: int = 0
    capacity: int = Field(default=0, description="bytes")
    memory: int = Field(default=0, description="bytes")

    def plus(self, other: "Sum") -> "Sum":
        """Both together."""
        return Sum(
            machines=self.machines + other.machines,
            disks=self.disks + other.disks,
            capacity=self.capacity + other.capacity,
            memory=self.memory + other.memory,
        )


class Reason(Contract):
    """A code, and the VMs that it was said of."""

    code: str
    severity: str
    machines: int = 0
    capacity: int = Field(default=0, description="bytes of their disks")


class Totals(Contract):
    """Of an inventory, or of a wave of it."""

    all: Sum = Sum()
    ready: Sum = Sum()
    warning: Sum = Sum()
    blocked: Sum = Sum()
    powered_on: Sum = Sum()
    reasons: tuple[Reason, ...] = Field(default=(), description="blockers first, then by the number of VMs")

    def plus(self, other: "Totals") -> "Totals":
        """Both together."""
        return Totals(
            all=self.all.plus(other.all),
            ready=self.ready.plus(other.ready),
            warning=self.warning.plus(other.warning),
            blocked=self.blocked.plus(other.blocked),
            powered_on=self.powered_on.plus(other.powered_on),
            reasons=_merged([*self.reasons, *other.reasons]),
        )


class Inventory(Contract):
    """What there is to be assessed: the morefs of each source, and the target as it is now."""

    machines: dict[str, tuple[str, ...]] = Field(default={}, description="source to morefs")
    templates: int = Field(default=0, description="left out: templates are not migrated")
    target: TargetFacts | None = None
    capacity: dict[str, int] = Field(default={}, description="`[capacity]` of the worker that answers, by kind or name")
    bandwidth: dict[str, str] = Field(default={}, description="its `[capacity.bandwidth]`")


class PageOrder(Contract):
    """Assess some VMs of one source."""

    source: str
    refs: tuple[str, ...]
    request: AssessRequest
    target: TargetFacts | None = None


class Page(Contract):
    """Some rows. Packed, since the histories of 5,000 VMs would else hold tens of megabytes."""

    totals: Totals
    packed: str = Field(description="of the rows: JSON, zlib, base64")


class Summary(Contract):
    """The result of the workflow ``Assess``; its query ``page`` gives the rows, page by page."""

    totals: Totals = Totals()
    pages: int = 0
    templates: int = 0
    target: TargetFacts | None = None
    capacity: dict[str, int] = {}
    bandwidth: dict[str, str] = {}


class NotLooked(Contract):
    """What this assessment cannot tell, and why."""

    codes: tuple[str, ...] = Field(default=(), description="checks that were not made")
    why: str


class Assessment(Contract):
    """The whole of it: what every form of output is made from."""

    schema_version: Literal[1] = SCHEMA_VERSION
    made_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    origin: str = Field(description="where the inventory was read from, for people")
    target: str = Field(default="", description="the pool and SR that were looked at; empty: none")
    totals: Totals = Totals()
    notes: tuple[str, ...] = Field(default=(), description="of the inventory as a whole")
    not_looked_at: tuple[NotLooked, ...] = ()
    machines: tuple[Assessed, ...] = ()


def is_wanted(machine: Named, wanted: Sequence[str]) -> bool:
    """By name, glob, instanceUuid or moref; nothing wanted is everything."""
    return not wanted or Wanted(wanted).has(machine)


class Wanted:
    """A choice of VMs that is asked of each of 10,000."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)
        self._plain = frozenset(self.words)
        self._globs = tuple(each for each in self.words if any(sign in each for sign in "*?["))

    def has(self, machine: Named) -> bool:
        """By name, glob, instanceUuid or moref; nothing wanted is everything."""
        return (
            not self.words
            or not self._plain.isdisjoint((machine.name, machine.machine_id, machine.ref))
            or any(fnmatchcase(machine.name, each) for each in self._globs)
        )


class Grouped(Contract):
    """Where people put a VM, and how they call it."""

    folder: str = Field(default="", description="names from below the datacenter, parted by /")
    tags: tuple[str, ...] = ()
    tags_unread: str = Field(default="", description="why they could not be read")


def is_in(group: Grouped, tags: Sequence[str], folders: Sequence[str]) -> bool:
    """Whether it has one of these tags, and is in one of these folders or below; none named: any."""
    steps = group.folder.split("/")
    above = ["/".join(steps[:count]) for count in range(1, len(steps) + 1)]
    return (not tags or any(fnmatchcase(tag, each) for tag in group.tags for each in tags)) and (
        not folders or any(fnmatchcase(path, each.strip("/")) for path in above for each in folders)
    )


def assessed(machine: Machine, checks: Sequence[Check]) -> Assessed:
    """A row."""
    return Assessed(
        source=machine.source,
        name=machine.name,
        machine_id=machine.machine_id,
        ref=machine.ref,
        power=machine.power.value,
        guest=machine.guest_name,
        cpus=machine.cpus,
        memory=machine.memory,
        disks=len(machine.disks),
        capacity=sum(disk.capacity for disk in machine.disks),
        verdict=verdict_of(checks),
        checks=tuple(checks),
    )


def unread(source: str, lack: Unread) -> Assessed:
    """A VM that could not be read cannot be migrated either."""
    check = Check(code=lack.code, severity="blocker", message=lack.message)
    return Assessed(source=source, name=lack.name, ref=lack.ref, verdict=BLOCKED, checks=(check,))


def verdict_of(checks: Iterable[Check]) -> str:
    """``ready``, ``warning`` or ``blocked``."""
    severities = {check.severity for check in checks}
    return BLOCKED if "blocker" in severities else WARNING if "warning" in severities else READY


def totals_of(rows: Iterable[Assessed]) -> Totals:
    """Each VM counts once under each of its codes."""
    sums = {name: Sum() for name in ("all", READY, WARNING, BLOCKED, "powered_on")}
    reasons: list[Reason] = []
    for row in rows:
        one = Sum(machines=1, disks=row.disks, capacity=row.capacity, memory=row.memory)
        for name in ("all", row.verdict, *(("powered_on",) if row.power == "on" else ())):
            sums[name] = sums[name].plus(one)
        worst = {check.code: check.severity for check in reversed(row.checks)}  # the first of a code is its worst
        reasons += [
            Reason(code=code, severity=severity, machines=1, capacity=row.capacity) for code, severity in worst.items()
        ]
    return Totals(**sums, reasons=_merged(reasons))


_ORDER = ("blocker", "warning", "note")


def _merged(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    found: dict[tuple[str, str], Reason] = {}
    for each in reasons:
        before = found.get((each.code, each.severity), Reason(code=each.code, severity=each.severity))
        found[each.code, each.severity] = Reason(
            code=each.code,
            severity=each.severity,
            machines=before.machines + each.machines,
            capacity=before.capacity + each.capacity,
        )
    return tuple(sorted(found.values(), key=lambda each: (_ORDER.index(each.severity), -each.machines, each.code)))


def notes_of(totals: Totals, *, templates: int = 0, target: TargetFacts | None = None) -> tuple[str, ...]:
    """What holds of the inventory as a whole, and of no VM alone."""
    notes = []
    wanted = totals.ready.plus(totals.warning).capacity
    if target is not None and target.sr_uuid and wanted > target.sr_free:
        notes.append(
            f"All VMs that are not blocked have disks of {spoken_size(wanted)} together; SR {target.sr_name} has "
            f"{spoken_size(target.sr_free)} free: spread them over several SRs, or free some room between the waves."
        )
    if templates:
        notes.append(f"{templates} template{'s are' if templates > 1 else ' is'} left out: templates are not migrated.")
    return tuple(notes)


_ROWS: TypeAdapter[tuple[Assessed, ...]] = TypeAdapter(tuple[Assessed, ...])


def packed(rows: Sequence[Assessed]) -> Page:
    """Rows as they cross Temporal."""
    plain = _ROWS.dump_json(tuple(rows), exclude_defaults=True)
    return Page(totals=totals_of(rows), packed=base64.b64encode(zlib.compress(plain, 9)).decode())


def unpacked(page: Page) -> tuple[Assessed, ...]:
    """The rows again."""
    inflating = zlib.decompressobj()
    plain = inflating.decompress(base64.b64decode(page.packed), MOST_UNPACKED)
    if not inflating.eof:
        raise ValueError(f"a page of an assessment is larger than {MOST_UNPACKED} bytes")
    return _ROWS.validate_json(plain)
