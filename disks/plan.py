"""What one pass owes to one disk: written to the store before the first PUT (SAFETY 1)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contracts.errors import FerryError
from disks.extents import Extent, aligned, merged, total
from disks.store import write_durably

PlanKind = Literal["initial", "delta", "full"]

FIRST_PASS_ALIGNMENT = 4096
DELTA_ALIGNMENT = 64 << 10


@dataclass(frozen=True)
class Plan:
    """The extents of one pass over one disk.

    Attributes:
        kind: ``initial`` (the first onto this VDI), ``delta``, or ``full`` (change tracking was not trusted).
        since: the landmark that the target is complete up to; empty for none.
        upto: the landmark that it is complete up to when this plan is done.
        extents: sorted, disjoint, aligned outwards, clipped at the capacity.
        skip_zeros: zeros need not be sent, since the VDI is known to hold zeros there (SAFETY 5).
        reason: why it is not a delta, where one was due.
    """

    pass_no: int
    kind: PlanKind
    since: str
    upto: str
    extents: tuple[Extent, ...]
    skip_zeros: bool
    reason: str = ""

    @property
    def bytes(self) -> int:
        """All bytes of the extents."""
        return total(self.extents)

    def save(self, file: Path) -> None:
        """Write it; durable when this returns."""
        record = {
            "pass": self.pass_no,
            "kind": self.kind,
            "since": self.since,
            "upto": self.upto,
            "skip_zeros": self.skip_zeros,
            "reason": self.reason,
            "extents": self.extents,
        }
        write_durably(file, json.dumps(record).encode())

    @staticmethod
    def load(file: Path) -> "Plan":
        """Raises ``store.damaged`` for a file that is not a plan."""
        try:
            record = json.loads(file.read_bytes())
            return Plan(
                pass_no=int(record["pass"]),
                kind=record["kind"],
                since=record["since"],
                upto=record["upto"],
                extents=tuple(Extent(int(start), int(end)) for start, end in record["extents"]),
                skip_zeros=bool(record["skip_zeros"]),
                reason=record["reason"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FerryError("store.damaged", f"{file} is not a plan: {error}") from None


def initial_plan(pass_no: int, allocated: list[Extent], *, upto: str, capacity: int, prezeroed: bool) -> Plan:
    """The first pass: what is allocated; on a VDI that does not begin as zeros, the whole disk (SAFETY 5)."""
    extents = aligned(allocated, to=FIRST_PASS_ALIGNMENT, capacity=capacity) if prezeroed else [Extent(0, capacity)]
    return Plan(pass_no, "initial", "", upto, tuple(extents), skip_zeros=prezeroed)


def repeated_initial_plan(
    pass_no: int, allocated: list[Extent], owed: list[Extent], *, upto: str, capacity: int, prezeroed: bool
) -> Plan:
    """The first pass again, after one that was void: what that one touched is sent whole, zeros too."""
    extents = (
        aligned(merged([*allocated, *owed]), to=FIRST_PASS_ALIGNMENT, capacity=capacity)
        if prezeroed
        else [Extent(0, capacity)]
    )
    return Plan(pass_no, "initial", "", upto, tuple(extents), skip_zeros=False, reason="an earlier pass was void")


def delta_plan(
    pass_no: int, changed: list[Extent], owed: list[Extent], *, since: str, upto: str, capacity: int
) -> Plan:
    """A later pass: what changed since the landmark, and what is owed, zeros included (SAFETY 1, 5)."""
    extents = aligned(merged([*changed, *owed]), to=DELTA_ALIGNMENT, capacity=capacity)
    return Plan(pass_no, "delta", since, upto, tuple(extents), skip_zeros=False)


def full_plan(pass_no: int, *, upto: str, capacity: int, reason: str) -> Plan:
    """Everything, where what changed cannot be known (SAFETY 11)."""
    return Plan(pass_no, "full", "", upto, (Extent(0, capacity),), skip_zeros=False, reason=reason)
