"""What one pass owes to one disk: written to the store before the first PUT (SAFETY 1)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from contracts.errors import FerryError
from disks.extents import Extent, aligned, merged, subtracted, total
from disks.manifest import BLOCK

PlanKind = Literal["initial", "delta", "compare", "full"]

FIRST_PASS_ALIGNMENT = 4096
DELTA_ALIGNMENT = 64 << 10


@dataclass(frozen=True)
class Plan:
    """The extents of one pass over one disk.

    Attributes:
        kind: ``initial`` (the first onto this VDI), ``delta``, or ``compare`` (change tracking was not trusted: all is
            read, and what differs from the manifest is sent). ``full`` is an older Ferry's: all is sent.
        since: the landmark that the target is complete up to; empty for none.
        upto: the landmark that it is complete up to when this plan is done.
        extents: sorted, disjoint, aligned outwards, clipped at the capacity.
        unsure: those of the extents of which only the blocks that differ from the manifest are sent; both lie in the
            same blocks wherever a block has a part in either, so that a block that differs is sent whole.
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
    unsure: tuple[Extent, ...] = ()

    @property
    def bytes(self) -> int:
        """All bytes of the extents."""
        return total(self.extents)


def encoded(plan: Plan) -> bytes:
    """As it is kept in the store."""
    record = {
        "pass": plan.pass_no,
        "kind": plan.kind,
        "since": plan.since,
        "upto": plan.upto,
        "skip_zeros": plan.skip_zeros,
        "reason": plan.reason,
        "extents": plan.extents,
        "unsure": plan.unsure,
    }
    return json.dumps(record).encode()


def decoded(content: bytes) -> Plan:
    """Raises ``store.damaged`` for what is not a plan."""
    try:
        record = json.loads(content)
        return Plan(
            pass_no=int(record["pass"]),
            kind=record["kind"],
            since=record["since"],
            upto=record["upto"],
            extents=_extents(record["extents"]),
            unsure=_extents(record.get("unsure", ())),
            skip_zeros=bool(record["skip_zeros"]),
            reason=record["reason"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FerryError("store.damaged", f"a plan cannot be read: {error}") from None


def _extents(pairs: Iterable[tuple[int, int]]) -> tuple[Extent, ...]:
    return tuple(Extent(int(start), int(end)) for start, end in pairs)


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
    pass_no: int,
    changed: list[Extent],
    owed: list[Extent],
    unsure: list[Extent],
    *,
    since: str,
    upto: str,
    capacity: int,
) -> Plan:
    """A later pass: what changed since the landmark, and what is owed, zeros included (SAFETY 1, 5).

    Args:
        unsure: what a cut comparison left: it is compared in this pass.
    """
    sure = aligned(merged([*changed, *owed]), to=DELTA_ALIGNMENT, capacity=capacity)
    unsure = aligned(unsure, to=BLOCK, capacity=capacity)
    return Plan(
        pass_no, "delta", since, upto, tuple(merged([*sure, *unsure])), skip_zeros=False,
        unsure=tuple(subtracted(unsure, sure)),
    )  # fmt: skip


def compare_plan(pass_no: int, owed: list[Extent], *, upto: str, capacity: int, reason: str) -> Plan:
    """Everything is read, and what differs from the manifest is sent, where what changed cannot be known (SAFETY 11).

    What is owed is sent whole: of it the manifest does not tell what the target holds.
    """
    whole = [Extent(0, capacity)]
    sure = aligned(owed, to=DELTA_ALIGNMENT, capacity=capacity)
    return Plan(
        pass_no, "compare", "", upto, tuple(whole), skip_zeros=False, reason=reason,
        unsure=tuple(subtracted(whole, sure)),
    )  # fmt: skip
