"""Windows as people write them: which is open, which is next, and what the clocks' changes do to them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.request import MigrateVmRequest
from contracts.windows import Opening, next_window, parse_windows

BERLIN = ZoneInfo("Europe/Berlin")


def _written(day: str, hour: int, minute: int, to_hour: int, to_minute: int, zone: str) -> str:
    return f"{day} {hour:02}:{minute:02}-{to_hour:02}:{to_minute:02} {zone}"


WEEKLY = st.tuples(
    st.sampled_from(["Mon", "Sat", "Sun", "Mon-Fri", "Sat,Sun", "daily", "Fri-Mon"]),
    st.integers(0, 23), st.integers(0, 59), st.integers(0, 23), st.integers(0, 59),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
).filter(lambda each: each[1:3] != each[3:5]).map(lambda each: _written(*each))  # fmt: skip
TIMES = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


def at(text: str, zone: ZoneInfo | None = None) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC)


@pytest.mark.parametrize(
    ("windows", "after", "opens", "closes"),
    [
        ("Sat 22:00-02:00 Europe/Berlin", "2026-12-01T12:00", "2026-12-05T21:00", "2026-12-06T01:00"),
        ("Sat 22:00-02:00 Europe/Berlin", "2026-12-06T00:30", "2026-12-05T21:00", "2026-12-06T01:00"),
        ("sat 22:00 - 02:00 Europe/Berlin", "2026-12-06T01:00", "2026-12-12T21:00", "2026-12-13T01:00"),
        ("Fri 22:00-Mon 04:00 UTC", "2026-12-06T12:00", "2026-12-04T22:00", "2026-12-07T04:00"),
        ("Mon-Thu 20:00-06:00 UTC", "2026-12-04T12:00", "2026-12-07T20:00", "2026-12-08T06:00"),
        ("2026-12-05 22:00/2026-12-06 04:00 Europe/Berlin", "2026-12-01T00:00", "2026-12-05T21:00", "2026-12-06T03:00"),
        ("2026-12-05 22:00-04:00 Europe/Berlin", "2026-12-01T00:00", "2026-12-05T21:00", "2026-12-06T03:00"),
        ("daily 01:00-03:00 UTC; daily 02:00-05:00 UTC", "2026-12-01T02:30", "2026-12-01T01:00", "2026-12-01T05:00"),
        ("Sat 00:00-24:00 UTC;Sun 00:00-24:00 UTC", "2026-12-01T00:00", "2026-12-05T00:00", "2026-12-07T00:00"),
        ("Sun 22:00-Sun 04:00 UTC", "2026-12-12T00:00", "2026-12-06T22:00", "2026-12-13T04:00"),
    ],
)  # fmt: skip
def test_a_window_opens_and_closes_when_its_clock_on_the_wall_says_so(windows, after, opens, closes):
    assert next_window(parse_windows(windows), at(after)) == Opening(opens=at(opens), closes=at(closes))


def test_a_window_that_was_once_is_over_for_good():
    assert next_window(("2026-12-05 22:00/2026-12-06 04:00 UTC",), at("2026-12-06T04:00")) is None


def test_a_window_is_never_longer_than_it_was_meant_where_the_clocks_change():
    gap, twice = at("2026-03-28T00:00"), at("2026-10-24T00:00")  # 29 March and 25 October 2026, 02:00-03:00

    def open_for(window: str, after: datetime) -> Opening:
        found = next_window((window,), after)
        assert found is not None
        return found

    whole = open_for("Sat 22:00-06:00 Europe/Berlin", gap)
    assert whole.closes - whole.opens == timedelta(hours=7), "it ends at 06:00 on the wall"
    assert open_for("Sun 02:30-05:00 Europe/Berlin", gap).opens == at("2026-03-29T01:30"), "late, at 03:30"
    assert open_for("Sun 00:00-02:30 Europe/Berlin", gap).closes <= at("2026-03-29T01:00"), "early"
    assert open_for("Sun 02:10-02:50 Europe/Berlin", gap).opens == at("2026-04-05T00:10"), "no such time this week"
    assert open_for("Sun 02:30-05:00 Europe/Berlin", twice).opens == at("2026-10-25T01:30"), "the second 02:30"
    assert open_for("Sun 00:00-02:30 Europe/Berlin", twice).closes == at("2026-10-25T00:30"), "the first 02:30"


@given(windows=st.lists(WEEKLY, min_size=1, max_size=4).map(tuple), after=TIMES)
def test_the_next_window_is_open_or_to_come_and_none_before_it_was_missed(windows, after):
    found = next_window(windows, after)

    assert found is not None
    assert found.opens < found.closes
    assert found.closes > after
    assert next_window(windows, found.closes - timedelta(seconds=1)) is not None
    if found.opens > after:
        between = after + (found.opens - after) / 2
        assert next_window(windows, between) == found, "nothing else opens in between"
    later = next_window(windows, found.closes)
    assert later is None or later.opens > found.opens


@given(window=WEEKLY, after=TIMES)
def test_no_window_is_longer_than_its_clock_says(window, after):
    found = next_window((window,), after)
    begin, end = (datetime.strptime(each, "%H:%M") for each in window.split()[1].split("-"))
    meant = (end - begin) % timedelta(days=1)

    assert found is not None
    if not window.startswith(("Mon-", "daily", "Sat,", "Fri-")):  # days that touch may be one window
        assert found.closes - found.opens <= meant + timedelta(hours=1), "an hour more only where it comes twice inside"


@pytest.mark.parametrize(
    ("windows", "told"),
    [
        ("Sat 22:00-02:00", "no window"),
        ("Sat 22:00-02:00 Europe/Berlinn", "no time zone"),
        ("Sat 22:00-02:00 ../../etc/passwd", "no time zone"),
        ("Samstag 22:00-02:00 UTC", "no window"),
        ("Sat 25:00-02:00 UTC", "no time of the day"),
        ("Sat 22:00-22:00 UTC", "00:00-24:00"),
        ("2026-12-06 22:00/2026-12-05 22:00 UTC", "ends before"),
        ("2026-02-30 22:00/2026-03-01 22:00 UTC", "2026-02-30"),
        ("Mon-Fri 22:00-Sat 04:00 UTC", "several days"),
        ("", "empty"),
        ([" ", ""], "empty"),
        ("9999-12-31 22:00/24:00 UTC", "year"),
        ("0001-01-01 00:00/01:00 Europe/Berlin", "year"),
        (7, "write"),
    ],
)
def test_what_is_no_window_is_refused_with_what_to_write(windows, told):
    with pytest.raises(ValueError, match=told):
        MigrateVmRequest.model_validate({"source": "vc", "vm": "web01", "target": "pool", "windows": windows})
