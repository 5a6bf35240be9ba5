"""Whose yes counts, for how long, and when there are enough of them. Pure: no Temporal."""

import unicodedata
from datetime import datetime, timedelta

from contracts.messages import Approve
from contracts.migration import Decision, MigrationState
from contracts.names import Phase
from contracts.request import MigrateVmRequest

ACCEPTS_YES = frozenset({Phase.DELTA_SYNC, Phase.AWAITING_APPROVAL})


def with_yes(state: MigrationState, request: MigrateVmRequest, said: Approve, now: datetime) -> MigrationState:
    """A yes. One person's counts once, however they write their name; a repeat of it changes nothing, another one of
    the same person (for longer, for more downtime) takes its place.
    """
    if state.phase not in ACCEPTS_YES:
        return state  # a repeat, while the cutover is under way
    lives = [each for each in (said.expires, request.approval_expires) if each is not None]
    decision = Decision(
        decision="approved",
        who=said.who,
        note=said.note,
        at=now,
        approval_ticket=state.approval_ticket,
        phase=state.phase,
        predicted_downtime_s=state.predicted_downtime_s,
        passes=len(state.passes),
        expires_at=now + min(lives) if lives else None,
        max_downtime_s=said.max_downtime.total_seconds() if said.max_downtime is not None else None,
    )
    before = next((each for each in state.approvals if _same(each.who, said.who)), None)
    if before is not None and _repeats(decision, before):
        return state
    counting = tuple(decision if each is before else each for each in state.approvals)
    if before is None:
        counting += (decision,)
    if state.approved is not None and not state.approvals:
        counting = (state.approved, decision)  # by a version that knew no quorum
    full = len(counting) >= request.quorum
    return _recorded(state, decision).model_copy(update={"approvals": counting, "approved": decision if full else None})


def expired(state: MigrationState, request: MigrateVmRequest, now: datetime) -> MigrationState:
    """What has expired counts no more, and the record says when. Where enough others still count, it stays approved."""
    gone = [each for each in state.approvals if each.expires_at is not None and each.expires_at <= now]
    if not gone:
        return state
    for each in gone:
        state = _recorded(
            state,
            by_rule(state, "expired", now, f"the yes of {each.who}, of {_moment(each.at)}, counted until now"),
        )
    left = tuple(each for each in state.approvals if each not in gone)
    full = state.approved is not None and len(left) >= request.quorum
    return state.model_copy(update={"approvals": left, "approved": left[-1] if full else None})


def by_rule(state: MigrationState, what: str, now: datetime, note: str) -> Decision:
    """What nobody said, but follows from what somebody did."""
    return Decision(
        decision=what, who="ferry", who_is="ferry", note=note, at=now, approval_ticket=state.approval_ticket,
        phase=state.phase, predicted_downtime_s=state.predicted_downtime_s, passes=len(state.passes),
    )  # fmt: skip


def expires_next(state: MigrationState) -> datetime | None:
    """When the next yes expires."""
    return min((each.expires_at for each in state.approvals if each.expires_at is not None), default=None)


def longest_downtime(state: MigrationState, request: MigrateVmRequest) -> timedelta | None:
    """The least that the request and all that said yes allow; None: nobody said."""
    bounds = [timedelta(seconds=each.max_downtime_s) for each in state.approvals if each.max_downtime_s is not None]
    if request.max_downtime is not None:
        bounds.append(request.max_downtime)
    return min(bounds, default=None)


def _recorded(state: MigrationState, decision: Decision) -> MigrationState:
    return state.model_copy(update={"decisions": (*state.decisions, decision)[-100:]})


def _same(one: str, other: str) -> bool:
    """However it is typed: capitals, blanks, and the two ways in which Unicode writes an é."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def _repeats(new: Decision, old: Decision) -> bool:
    def life(each: Decision) -> timedelta | None:
        return each.expires_at - each.at if each.expires_at is not None else None

    return (new.note, new.max_downtime_s, new.approval_ticket, life(new)) == (
        old.note, old.max_downtime_s, old.approval_ticket, life(old),
    )  # fmt: skip


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
