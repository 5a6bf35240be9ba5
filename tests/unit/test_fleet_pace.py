"""A fleet's pace: a range that grows narrow as copies end."""

from datetime import UTC, datetime, timedelta

from contracts.fleet_rows import MemberRow
from fleets.pace import pace_of

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def row(
    name: str, standing: str, *, began: float | None = None, took: float | None = None, rate: float = 0
) -> MemberRow:
    start = None if began is None else NOW - timedelta(seconds=began)
    copied = start + timedelta(seconds=took) if start is not None and took is not None else None
    return MemberRow(vm=name, wave="1", workflow=name, standing=standing, began=start, copied=copied, rate=rate)


def test_before_the_first_copy_nothing_is_foretold() -> None:
    pace = pace_of([row("a", "running", began=10, rate=5), row("b", "waiting")], at_once=2, now=NOW)

    assert (pace.copied_in, pace.copied, pace.left, pace.rate) == (None, 0, 2, 5)


def test_what_is_left_goes_by_turns_at_the_pace_of_those_that_are_through() -> None:
    through = [row(f"t{each}", "done", began=1000, took=each) for each in (100, 100, 200, 300, 300)]
    waiting = [row(f"w{each}", "waiting") for each in range(8)]

    pace = pace_of([*through, *waiting, row("gone", "skipped")], at_once=4, now=NOW)

    assert pace.copied_in == (200.0, 600.0)
    assert (pace.copied, pace.left) == (5, 8)


def test_one_that_overruns_all_others_leaves_no_time_below_nothing() -> None:
    pace = pace_of([row("t", "done", began=500, took=10), row("r", "running", began=900)], at_once=1, now=NOW)

    assert pace.copied_in == (0.0, 0.0)


def test_when_all_are_copied_nothing_is_left() -> None:
    assert pace_of([row("t", "done", began=500, took=10)], at_once=1, now=NOW).copied_in == (0.0, 0.0)
