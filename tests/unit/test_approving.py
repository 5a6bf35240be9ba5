"""Whose yes counts, for how long, and what holds a cutover that is approved. Pure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages import Approve, Reject, Rollback
from contracts.migration import Decision, MigrationState
from contracts.names import Phase
from contracts.request import MigrateVmRequest
from contracts.steps import Preflight
from contracts.windows import Opening
from cutovers.approving import expired, expires_next, longest_downtime, with_yes
from cutovers.holding import hold, overruns_at
from workflows.deciding import approval_facts, nobody, refused, ticket_of

NOW = datetime(2026, 12, 5, 20, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def request(**more):
    return MigrateVmRequest.model_validate({"source": "vc", "vm": "web01", "target": "pool", **more})


def state(**more):
    said = {"phase": Phase.AWAITING_APPROVAL, "approval_ticket": "t", "predicted_downtime_s": 60.0, **more}
    return MigrationState.model_validate(said)


def yes(who="ann", **more):
    return Approve.model_validate({"approval_ticket": "t", "who": who, **more})


@given(
    names=st.lists(st.sampled_from(["ann", "Ann", " ANN ", "bob", "Bob", "carl", "Ann  B", "ann b"]), max_size=12),
    quorum=st.integers(1, 4),
)
def test_a_quorum_is_full_when_so_many_distinct_people_have_said_yes(names, quorum):
    now = state()
    for name in names:
        now = with_yes(now, request(quorum=quorum), yes(name), NOW)

    people = {" ".join(name.split()).casefold() for name in names}
    assert len(now.approvals) == len(people)
    assert (now.approved is not None) == (len(people) >= quorum)


def test_a_name_is_one_persons_however_unicode_writes_it():
    now = with_yes(state(), request(quorum=2), yes("Jos\u00e9"), NOW)
    now = with_yes(now, request(quorum=2), yes("JOSE\u0301"), NOW)

    assert now.approved is None


@pytest.mark.parametrize("said", [yes(" \t "), Reject(who=" "), Rollback(who=" ")])
def test_blanks_are_nobodys_name(said):
    refused = nobody(said)

    assert refused is not None
    assert refused.code == "request.invalid"
    assert nobody(yes()) is None


def test_a_repeat_changes_nothing_and_other_bounds_take_the_place_of_those_before():
    first = with_yes(state(), request(), yes(max_downtime="5m"), NOW)

    assert with_yes(first, request(), yes(max_downtime="5m"), NOW + MINUTE) == first
    wider = with_yes(first, request(), yes(max_downtime="15m"), NOW + MINUTE)
    assert longest_downtime(wider, request()) == timedelta(minutes=15)
    assert (len(wider.approvals), len(wider.decisions)) == (1, 2)


def test_a_yes_lasts_as_long_as_the_shorter_of_what_was_said():
    now = with_yes(state(), request(approval_expires="3d", quorum=2), yes(expires="1h"), NOW)
    now = with_yes(now, request(approval_expires="3d", quorum=2), yes("bob", expires="9d"), NOW)
    assert now.approved is not None
    assert expires_next(now) == NOW + timedelta(hours=1)

    later = expired(now, request(quorum=2), NOW + timedelta(hours=1))

    assert later.approved is None, "the quorum is full no more"
    assert [each.who for each in later.approvals] == ["bob"]
    assert [(each.decision, each.who_is) for each in later.decisions] == [
        ("approved", "claimed"), ("approved", "claimed"), ("expired", "ferry"),
    ]  # fmt: skip
    assert expired(later, request(quorum=2), NOW + timedelta(days=3)).approvals == ()


def test_where_enough_others_still_count_one_that_expires_takes_nothing_back():
    now = with_yes(state(), request(), yes(expires="1h"), NOW)
    now = with_yes(now, request(), yes("bob"), NOW)

    later = expired(now, request(), NOW + timedelta(hours=2))

    assert later.approved is not None
    assert later.approved.who == "bob"


def test_a_no_outranks_auto_until_a_yes_that_still_counts():
    def said(*what):
        return tuple(Decision(decision=each, who="x", at=NOW) for each in what)

    assert not refused(said())
    assert refused(said("approved", "rejected"))
    assert refused(said("rejected", "called-back"))
    assert not refused(said("rejected", "approved", "called-back"))
    assert refused(said("rejected", "approved", "expired"))


@pytest.mark.parametrize(
    ("predicted", "opens", "closes", "code", "told"),
    [
        (60, -10, 10, None, None),
        (60, 10, 40, "", "waits for the window"),
        (660, -10, 10, "", "does not fit"),
        (1260, -10, 10, "cutover.window_too_short", "predicted"),
        (60, -20, 0, "", "looked up"),
    ],
)
def test_an_approved_cutover_begins_in_a_window_that_is_long_enough(predicted, opens, closes, code, told):
    window = Opening(opens=NOW + opens * MINUTE, closes=NOW + closes * MINUTE)
    now = state(predicted_downtime_s=predicted, window=window)

    held = hold(now, request(windows="daily 19:50-20:10 UTC"), NOW)

    assert (held.code if held else None) == code
    assert held is None or told in held.message
    assert hold(now, request(), NOW) is None, "without windows, at any time"


def test_the_least_that_anybody_allowed_bounds_the_prediction():
    now = with_yes(state(predicted_downtime_s=600.0), request(quorum=2), yes(max_downtime="5m"), NOW)
    now = with_yes(now, request(quorum=2), yes("bob", max_downtime="1h"), NOW)

    held = hold(now, request(quorum=2, max_downtime="30m"), NOW)

    assert held is not None
    assert held.code == "cutover.downtime_exceeded"


def test_a_named_bound_counts_as_it_is_and_a_budget_only_where_it_was_to_be_met():
    def at(now, said, rest=0):
        return overruns_at(now, said, NOW, rest * MINUTE, watch_budget=True)

    assert at(state(), request(max_downtime="10m"), rest=2) == NOW + 8 * MINUTE
    assert at(state(), request(downtime_budget="4m")) == NOW + 6 * MINUTE
    assert at(state(predicted_downtime_s=600.0), request(downtime_budget="4m")) is None


def test_an_auto_approval_cannot_have_a_quorum():
    with pytest.raises(ValueError, match="quorum"):
        request(approval="auto", quorum=2)


def test_our_own_snapshots_and_what_is_free_are_no_facts():
    def ticket(**more):
        machine = {
            "source": "vc", "machine_id": "5", "ref": "vm-1", "name": "web01", "power": "on", "firmware": "bios",
            "memory": 1, **more,
        }  # fmt: skip
        return ticket_of(approval_facts(Preflight.model_validate({"machine": machine, "store_id": "s"}), ()))

    assert ticket() == ticket(our_snapshots=("ferry-pass-7",), change_tracking=True, power="off")
    assert ticket() != ticket(foreign_snapshots=("backup",))
