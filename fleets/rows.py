"""A row of each member, as its fleet knows it. Pure."""

from contracts.fleet import ENDED, Member, MemberState, Standing
from contracts.fleet_rows import MOST_WORDS, FleetMembers, MemberRow
from fleets.ordering import Fleet

ITS_TURN = "its turn"
"""It comes without a human."""


def members_of(fleet: Fleet) -> FleetMembers:
    """In the order of their waves."""
    return FleetMembers(members=tuple(_row(fleet, member, state) for member, state in fleet.all()))


def _row(fleet: Fleet, member: Member, state: MemberState) -> MemberRow:
    told, running = state.told, state.standing is Standing.RUNNING
    if state.standing is Standing.WAITING:
        told = None  # by an earlier try
    parked = told.needs_human if told is not None and running else ""
    return MemberRow(
        vm=member.vm, wave=fleet.wave(member).name, workflow=fleet.request.workflow_of(member),
        site=str(member.request.get("site", fleet.request.defaults.get("site", ""))),
        standing=state.standing.value, phase=told.phase.value if told is not None and running else "",
        asks=fleet.asks_a_person(member.vm), needs_human=parked, code=state.code,
        message=(told.message if told is not None and parked else state.message)[:MOST_WORDS],
        waits_for=_waits_for(fleet, member, state), tries=state.tries, began=state.began, copied=state.copied,
        ended=state.ended, approved_by=state.approved_by or (state.yes.who if state.yes is not None else ""),
        bytes_sent=told.bytes_sent if told is not None else 0, bytes_total=told.bytes_total if told is not None else 0,
        rate=told.rate if told is not None else 0.0, passes=told.passes if told is not None else 0,
        downtime_s=told.downtime_s if told is not None else None,
    )  # fmt: skip


def _waits_for(fleet: Fleet, member: Member, state: MemberState) -> str:
    """Of one that has been copied and whose yes is not sent: a yes would wait for these first.

    In a paused fleet, whoever waits for the yes of a rule waits for the fleet alone.
    """
    if state.standing in ENDED or state.copied is None or (state.yes is not None and state.yes.sent):
        return ""
    if state.told is not None and (state.told.needs_human or (not state.asks and state.yes is None)):
        return ""
    if told := fleet.waits_for(member):
        return told
    if state.yes is None and (fleet.asks_a_person(member.vm) or not fleet.paused):
        return ""
    return "the fleet, which is paused" if fleet.paused else ITS_TURN
