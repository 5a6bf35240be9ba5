"""Permits: never over a limit, all or nothing, fair between fleets, and everybody is served at last."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.capacity import Ask, CapacityConfig, CapacityState, Release
from fleets.permits import Permits

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def ask(holder: str, *resources: str, limit: int = 1, fleet: str = "", number: int = 1) -> Ask:
    return Ask(holder=holder, number=number, fleet=fleet, limits=dict.fromkeys(resources, limit))


def table(*asks: Ask) -> Permits:
    made = Permits(CapacityState())
    for each in asks:
        made.ask(each, NOW)
    return made


def given_to(permits: Permits) -> list[str]:
    return [each.holder for each in permits.grant(NOW)]


def test_all_that_is_asked_for_or_none() -> None:
    permits = table(ask("a", "host", "sr"), ask("b", "sr", "ds"), ask("c", "ds"))
    assert given_to(permits) == ["a", "c"]
    permits.release(Release(holder="a", number=1))
    assert given_to(permits) == [], "c has the datastore"
    permits.release(Release(holder="c", number=1))
    assert given_to(permits) == ["b"]


def test_of_what_the_longest_waiting_needs_one_is_kept_for_it_and_no_more() -> None:
    permits = table(ask("x", "host"), ask("wide", "host", "sr"), ask("small", "sr"), ask("other", "ds"))
    assert given_to(permits) == ["x", "small", "other"], "x came first; the wide one is not the first that waits"
    permits.ask(ask("small2", "sr"), NOW)
    permits.release(Release(holder="small", number=1))
    assert given_to(permits) == [], "the SR is kept for the wide one"
    permits.release(Release(holder="x", number=1))
    assert given_to(permits) == ["wide"]

    link = [Ask(holder=f"l{each}", number=1, limits={"link": 10, f"esx{each}": 1}) for each in range(9)]
    busy = table(ask("x", "esx"), Ask(holder="head", number=1, limits={"link": 10, "esx": 1}), *link)
    assert given_to(busy) == ["x", *(each.holder for each in link)], "nine go beside it"
    busy.ask(Ask(holder="l9", number=1, limits={"link": 10}), NOW)
    assert given_to(busy) == []
    assert busy.status().waiting[1].why == "the last of link is kept for head, which waits longest"


def test_what_is_closed_for_good_closes_nothing_else() -> None:
    drained = table(Ask(holder="head", number=1, limits={"link": 1, "esx1": 0}), ask("a", "link"))
    assert given_to(drained) == ["a"]


def test_one_that_holds_is_seated_in_a_new_table_whatever_its_limits() -> None:
    permits = table(ask("a", "sr"))
    permits.grant(NOW)
    permits.ask(ask("b", "sr").model_copy(update={"holds": True}), NOW)
    permits.ask(ask("c", "sr"), NOW)
    assert permits.status().resources["sr"].held == 2
    permits.release(Release(holder="a", number=1))
    assert given_to(permits) == []
    permits.release(Release(holder="b", number=1))
    assert given_to(permits) == ["c"]


def test_a_fleet_of_a_thousand_does_not_keep_out_a_single_one() -> None:
    permits = table(*(ask(f"m{number}", "sr", limit=4, fleet="fleet/big") for number in range(1000)))
    assert len(given_to(permits)) == 4
    permits.ask(ask("single", "sr", limit=4), NOW)
    permits.release(Release(holder="m0", number=1))
    permits.release(Release(holder="m1", number=1))
    assert given_to(permits) == ["m4", "single"]


def test_asked_and_released_again_and_again() -> None:
    permits = table(ask("a", "sr"), ask("a", "sr"), ask("b", "sr"))
    assert given_to(permits) == ["a"]
    assert permits.ask(ask("a", "sr"), NOW), "it did not hear: it is told again"
    assert given_to(permits) == []
    permits.ask(ask("a", "sr", number=2), NOW)  # it parked, its release was lost, and it asks anew
    assert given_to(permits) == ["b"]
    permits.release(Release(holder="a", number=1))  # late
    permits.release(Release(holder="b", number=1))
    assert given_to(permits) == ["a"]
    permits.ask(ask("a", "sr", number=1), NOW)  # later still
    permits.release(Release(holder="a", number=1))
    assert list(permits.holding) == ["a"]


def test_a_limit_that_is_lowered_lets_nobody_in_and_one_that_is_raised_more() -> None:
    permits = table(*(ask(each, "sr", limit=2) for each in "abc"))
    assert given_to(permits) == ["a", "b"]
    permits.ask(ask("c", "sr", limit=1), NOW)
    permits.release(Release(holder="a", number=1))
    assert given_to(permits) == []
    permits.ask(ask("c", "sr", limit=2), NOW)
    assert given_to(permits) == ["c"]


def test_it_says_who_waits_for_what_and_why() -> None:
    permits = table(ask("a", "sr"), ask("b", "sr", "ds"), ask("c", "ds"))
    permits.grant(NOW)
    told = permits.status()
    assert told.resources["sr"].model_dump() == {"limit": 1, "held": 1, "waited_for": 1}
    assert [(each.holder, each.why) for each in told.waiting] == [("b", "full: sr (1 of 1), ds (1 of 1)")]
    assert [each.holder for each in told.holding] == ["a", "c"]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "release", "forget", "carry"]),
        st.sampled_from("abcdefgh"),
        st.sets(st.sampled_from(["host", "sr", "ds"]), min_size=1),
        st.integers(1, 3),
    ),
    max_size=60,
)
LIMITS = {"host": 1, "sr": 2, "ds": 3}


@given(EVENTS)
def test_never_over_a_limit_and_at_last_everybody_is_served(events: list[tuple[str, str, set[str], int]]) -> None:
    permits = Permits(CapacityState())
    for what, holder, needs, number in events:
        if what == "ask":
            limits = {each: LIMITS[each] for each in sorted(needs)}
            permits.ask(Ask(holder=holder, number=number, fleet="f" if holder < "e" else "", limits=limits), NOW)
        elif what == "release":
            permits.release(Release(holder=holder, number=number))
        elif what == "forget":
            permits.forget(holder, "")
        else:
            permits = Permits(CapacityState.model_validate_json(permits.carried(1).model_dump_json()))
        permits.grant(NOW)
        used = Counter(each for held in permits.holding.values() for each in held.ask.limits)
        assert all(count <= LIMITS[each] for each, count in used.items())
        assert not permits.holding.keys() & permits.waiting.keys()
        waits = next(iter(permits.waiting.values()), None)
        assert waits is None or any(used[each] >= LIMITS[each] for each in waits.ask.limits), "the first could have it"
    for _ in range(100):
        for holder in list(permits.holding):
            permits.release(Release(holder=holder, number=9))
        permits.grant(NOW)
    assert not permits.waiting


def test_limits_are_of_a_kind_and_of_some_by_name() -> None:
    config = CapacityConfig.model_validate({"sr": 4, "named": {"sr:pool/slow": 1, "host:vc/esx1": 2}})
    wanted = ["sr:pool/slow", "sr:pool/fast", "host:vc/esx1", "host:vc/esx2"]
    assert config.limits_of(wanted) == {"sr:pool/slow": 1, "sr:pool/fast": 4, "host:vc/esx1": 2}
    with pytest.raises(ValidationError, match="a kind of sr"):
        CapacityConfig.model_validate({"named": {"rack:1": 2}})
