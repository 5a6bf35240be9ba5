"""What a fleet tells of itself. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from contracts.fleet import FleetReport, FleetState, FleetStatus, Member, MemberState, Standing, WaveStatus
from fleets.ordering import Fleet

MOST_NAMES = 100
"""Of each kind: a status stays readable, and far below what Temporal lets pass."""


def status_of(fleet: Fleet, state: FleetState, *, over: bool) -> FleetStatus:
    """Numbers of all, and the first names of those that somebody should look at."""
    rows = list(fleet.all())
    waves: dict[str, list[MemberState]] = {wave.name: [] for wave in fleet.request.waves}
    asks: dict[str, list[str]] = {wave.name: [] for wave in fleet.request.waves}
    for member, each in rows:
        waves[fleet.wave(member).name].append(each)
        if fleet.asks_a_person(member.vm):
            asks[fleet.wave(member).name].append(member.vm)
    return FleetStatus(
        fleet=fleet.request.fleet, paused=state.paused, paused_by=state.paused_by, members=len(rows),
        standing=_counted(each for _, each in rows),
        waves=tuple(_wave(name, each, len(asks[name])) for name, each in waves.items()),
        copying=fleet.copying, cutting_over=fleet.cutting_over, at_once=fleet.request.at_once,
        asks=tuple(vm for names in asks.values() for vm in names)[:MOST_NAMES],
        needs_human=dict([(m.vm, s.told.needs_human) for m, s in rows if _parked(s) and s.told][:MOST_NAMES]),
        failed=dict([(m.vm, s.code) for m, s in rows if s.standing is Standing.FAILED][:MOST_NAMES]),
        runs=state.runs, over=over,
    )  # fmt: skip


def report_of(fleet: Fleet) -> FleetReport:
    """At its end."""
    rows = list(fleet.all())
    not_done = {member.vm: _why(member, each) for member, each in rows if each.standing is not Standing.DONE}
    outcome: Literal["done", "partial", "failed", "cancelled"] = "done"
    if len(not_done) == len(rows) and rows:
        outcome = "cancelled" if fleet.cancelled else "failed"
    elif not_done:
        outcome = "partial"
    sent = sum(each.told.bytes_sent for _, each in rows if each.told is not None)
    return FleetReport(
        outcome=outcome, fleet=fleet.request.fleet, members=len(rows), standing=_counted(each for _, each in rows),
        not_done=not_done, bytes_sent=sent,
    )  # fmt: skip


def _why(member: Member, state: MemberState) -> str:
    return state.code or state.standing.value


def _parked(state: MemberState) -> bool:
    return state.standing is Standing.RUNNING and state.told is not None and bool(state.told.needs_human)


def _counted(states: Iterable[MemberState]) -> dict[str, int]:
    counts = Counter(each.standing.value for each in states)
    return {standing.value: counts[standing.value] for standing in Standing if counts[standing.value]}


def _wave(name: str, states: list[MemberState], asks: int) -> WaveStatus:
    phases = Counter(
        each.told.phase.value if each.told is not None else "preflight"
        for each in states
        if each.standing is Standing.RUNNING
    )
    return WaveStatus(
        name=name, members=len(states), standing=_counted(states), phases=dict(sorted(phases.items())),
        asks=asks, needs_human=sum(map(_parked, states)),
    )  # fmt: skip
