"""Who of a fleet begins, and who is said yes to."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from temporalio.contrib.pydantic import pydantic_data_converter

from contracts.fleet import (
    MOST_MEMBERS,
    MOST_NOTE,
    FleetState,
    MemberState,
    MemberTold,
    MigrateFleetInput,
    MigrateFleetRequest,
    Standing,
    Yes,
    a_circle,
)
from contracts.names import Phase
from fleets.ordering import Fleet
from fleets.rows import members_of
from trust.packing import packed

NOW = datetime(2026, 11, 25, tzinfo=UTC)
DEFAULTS = {"source": "vc", "target": "pool"}


WORDS = (
    "host",
    "esx17.example.com",
    "refused",
    "the",
    "datastore",
    "nfs1",
    "is",
    "locked",
    "snapshot",
    "scsi0:0",
    "503",
)


def size_of(contract: BaseModel) -> int:
    """Bytes of it as a payload, as Temporal gets it."""
    return len(packed(pydantic_data_converter.payload_converter.to_payload(contract)).data)


def request(*members: dict[str, Any], **more: Any) -> MigrateFleetRequest:
    return MigrateFleetRequest.model_validate({"fleet": "f", "defaults": DEFAULTS, "members": members, **more})


def told(phase: Phase, **more: Any) -> MemberTold:
    return MemberTold(workflow="migrate/vc/a", phase=phase, ticket="t", **more)


def running(phase: Phase, *, yes: Yes | None = None, **more: Any) -> MemberState:
    return MemberState(standing=Standing.RUNNING, told=told(phase, **more), yes=yes)


def said(minute: int = 0, *, sent: bool = False) -> Yes:
    return Yes(who="ann", ticket="t", at=NOW + timedelta(minutes=minute), sent=sent)


def test_members_begin_in_the_order_of_their_waves_as_turns_are_free() -> None:
    asked = request(
        {"vm": "late", "wave": "2"}, {"vm": "a"}, {"vm": "b"}, waves=[{"name": "1"}, {"name": "2"}], at_once=2
    )
    assert Fleet(asked, {}).deed().begin == ("a", "b")
    copying = {"a": running(Phase.INITIAL_SYNC), "b": running(Phase.AWAITING_APPROVAL)}
    assert Fleet(asked, copying).deed().begin == ("late",)


def test_those_that_wait_for_a_window_with_their_yes_keep_nobody_from_being_copied() -> None:
    asked = request({"vm": "a"}, {"vm": "b"}, {"vm": "c"}, at_once=1)
    waits = running(Phase.AWAITING_APPROVAL, yes=said(sent=True))
    deed = Fleet(asked, {"a": waits, "b": running(Phase.AWAITING_APPROVAL, yes=said())}).deed()
    assert (deed.begin, deed.say_yes) == (("c",), ())  # the one turn of the cutovers is a's


def test_who_waits_longest_with_a_yes_is_cut_over_first() -> None:
    asked = request({"vm": "a"}, {"vm": "b"}, at_once=1)
    waiting = {vm: running(Phase.DELTA_SYNC, yes=said(minute)) for vm, minute in (("a", 2), ("b", 1))}
    assert Fleet(asked, waiting).deed().say_yes == ("b",)


@pytest.mark.parametrize(
    ("standing", "goes"),
    [(Standing.DONE, True), (Standing.SKIPPED, True), (Standing.FAILED, False), (Standing.CANCELLED, False)],
)
def test_who_comes_after_another_goes_once_that_is_done_or_skipped(standing: Standing, goes: bool) -> None:
    asked = request({"vm": "app", "after": ["db"]}, {"vm": "db"})
    states = {"app": running(Phase.DELTA_SYNC, yes=said()), "db": MemberState(standing=standing)}
    assert Fleet(asked, states).deed().say_yes == (("app",) if goes else ())


def test_who_is_watched_only_keeps_nobody_waiting() -> None:
    asked = request({"vm": "app", "after": ["db"]}, {"vm": "db"}, {"vm": "late", "wave": "2"},
                    waves=[{"name": "1"}, {"name": "2"}])  # fmt: skip
    waiting = {"app": running(Phase.DELTA_SYNC, yes=said()), "late": running(Phase.DELTA_SYNC, yes=said())}
    assert Fleet(asked, waiting | {"db": running(Phase.START)}).deed().say_yes == ()
    assert Fleet(asked, waiting | {"db": running(Phase.PROBATION)}).deed().say_yes == ("app",)
    assert Fleet(asked, waiting | {"db": running(Phase.PROBATION, needs_human="smoke.failed")}).deed().say_yes == ()
    through = {"db": running(Phase.PROBATION), "app": running(Phase.PROBATION)}
    assert Fleet(asked, waiting | through).deed().say_yes == ("late",)


STATES = st.sampled_from(
    [MemberState(standing=each) for each in Standing]
    + [running(phase) for phase in Phase]
    + [running(Phase.DELTA_SYNC, yes=said(minute, sent=sent)) for minute in (1, 2) for sent in (False, True)]
)


@given(st.lists(st.tuples(st.sampled_from("abcd"), STATES), max_size=12))
def test_what_was_counted_along_is_what_would_be_counted_anew(changes: list[tuple[str, MemberState]]) -> None:
    asked = request({"vm": "a"}, {"vm": "b", "wave": "2", "after": ["c"]}, {"vm": "c", "wave": "2"}, {"vm": "d"},
                    waves=[{"name": "1"}, {"name": "2", "approval": "auto"}], at_once=2)  # fmt: skip
    along, states = Fleet(asked, {}), dict[str, MemberState]()
    for vm, state in changes:
        along.put(vm, state)
        states[vm] = state
        anew = Fleet(asked, states)
        assert along.deed() == anew.deed()
        assert (along.copying, along.cutting_over, along.over) == (anew.copying, anew.cutting_over, anew.over)
        assert [along.waits_for(member) for member, _ in along.all()] == [
            anew.waits_for(member) for member, _ in anew.all()
        ]


def test_a_rule_says_yes_for_nobody_and_a_persons_no_outranks_it() -> None:
    asked = request({"vm": "a"}, waves=[{"name": "1", "approval": "auto"}])
    assert Fleet(asked, {"a": running(Phase.AWAITING_APPROVAL)}).deed().rule_yes == ("a",)
    assert Fleet(asked, {"a": running(Phase.AWAITING_APPROVAL, refused=True)}).deed().rule_yes == ()


def test_the_budget_is_of_failures_and_with_one_more_it_pauses() -> None:
    asked = request({"vm": "a"}, failure_budget=1)
    assert Fleet(asked, {}, failures=1).deed().pause == ""
    assert Fleet(asked, {}, failures=2).deed().pause.startswith("fleet.budget_spent")
    assert Fleet(asked, {}, failures=2, paused=True).deed() == Fleet(asked, {}, cancelled=True).deed()


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3).map(tuple)))
def test_a_circle_is_found_where_there_is_one(after: dict[str, tuple[str, ...]]) -> None:
    left = dict(after)
    while free := [name for name, others in left.items() if not any(other in left for other in others)]:
        for name in free:
            del left[name]
    circle = a_circle(after)
    assert bool(circle) == bool(left)
    for one, following in pairwise(circle):
        assert following in after[one]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"members": [{"vm": "a"}, {"vm": "a"}]}, "a is in it twice"),
        ({"members": [{"vm": "a", "wave": "9"}]}, "there is no wave '9'"),
        (
            {
                "waves": [{"name": "1"}, {"name": "2"}],
                "members": [{"vm": "a", "after": ["b"]}, {"vm": "b", "wave": "2"}],
            },
            "which is in a later wave",
        ),
        ({"members": [{"vm": "a", "request": {"approval": "auto"}}]}, "the fleet says that"),
        ({"defaults": {"source": "vc"}}, "target: Field required"),
        ({"members": [{"vm": "a" * 900, "request": {"sr": "s" * 4_200_000}}]}, "make several fleets"),
    ],
)
def test_a_request_that_does_not_hold_together_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        MigrateFleetRequest.model_validate({"fleet": "f", "defaults": DEFAULTS, "members": [{"vm": "a"}], **change})
    assert words in str(refused.value)


def test_what_a_full_fleet_carries_from_run_to_run_fits_into_one_payload() -> None:
    names = [f"machine-with-a-long-name-{number:04}" for number in range(MOST_MEMBERS)]
    asked = request(*({"vm": name, "after": [names[0]] if name != names[0] else []} for name in names))
    odd = Random(1)  # every member has words and numbers of its own, which deflate badly

    def words() -> str:
        return " ".join(f"{odd.choice(WORDS)}{odd.randrange(1000)}" for _ in range(40))[:300]

    def state() -> MemberState:
        return MemberState(
            standing=Standing.RUNNING, tries=9, code="source.power_off_timeout", message=words(),
            yes=Yes(who="w" * 40, note="n" * MOST_NOTE, ticket=odd.randbytes(8).hex(), at=NOW),
            told=told(Phase.AWAITING_APPROVAL, run=str(UUID(bytes=odd.randbytes(16))), message=words(),
                      needs_human="source.power_off_timeout", bytes_sent=odd.randrange(1 << 44),
                      bytes_total=odd.randrange(1 << 44), rate=odd.random() * 1e9, passes=999,
                      downtime_s=odd.random() * 1e5),
            began=NOW + timedelta(seconds=odd.random() * 1e6), copied=NOW, ended=NOW, approved_by="w" * 40,
        )  # fmt: skip

    members = {name: state() for name in names}
    assert size_of(MigrateFleetInput(**dict(asked), state=FleetState(members=members))) < 2 << 20
    assert size_of(members_of(Fleet(asked, members))) < 2 << 20
