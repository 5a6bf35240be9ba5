"""Limits as they are written, and as they are kept."""

import threading
import time
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.limits import Limits
from contracts.bandwidth import parse_bandwidth
from contracts.capacity import CapacityConfig
from contracts.steps import Errand
from disks.throttle import Throttle

MONDAY = datetime(2026, 11, 23)
MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "when", "limit"),
    [
        ("", timedelta(0), None),
        ("off", timedelta(0), None),
        ("50M", timedelta(days=3, hours=4), 50 * MIB),
        ("1048576", timedelta(0), MIB),
        ("08:00,50M 19:00,off", timedelta(hours=8), 50 * MIB),
        ("08:00,50M 19:00,off", timedelta(hours=18, minutes=59), 50 * MIB),
        ("08:00,50M 19:00,off", timedelta(hours=19), None),
        ("08:00,50M 19:00,off", timedelta(hours=7, minutes=59), None),
        ("19:00,off 08:00,50M", timedelta(hours=12), 50 * MIB),
        ("Mon-08:00,20M Fri-19:00,off", timedelta(days=2), 20 * MIB),
        ("Mon-08:00,20M Fri-19:00,off", timedelta(days=6, hours=23), None),
        ("Mon-08:00,20M Fri-19:00,off", timedelta(hours=7), None),
        ("sat-0:00,1G", timedelta(0), 1 << 30),
    ],
)
def test_the_limit_of_a_moment(text, when, limit):
    assert parse_bandwidth(text).at(MONDAY + when) == limit


@pytest.mark.parametrize(
    "text",
    ["fast", "50X", "-1M", "1K", "25:00,1M", "08:60,1M", "08:00", "08:00,50M,7", "Xyz-08:00,1M", "1M 2M", "9" * 600],
)
def test_what_is_no_limit_is_refused_with_how_it_is_written(text):
    with pytest.raises(ValueError, match=r"write|less than|enough"):
        parse_bandwidth(text)


@given(st.text(max_size=60))
def test_any_text_is_a_limit_or_refused(text):
    try:
        parse_bandwidth(text).at(MONDAY)
    except ValueError:
        pass


class Clock:
    """A cut that is never made, whose waits pass the time."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds
        return False

    def is_set(self):
        return False


@given(st.lists(st.integers(1, MIB), min_size=2, max_size=40), st.integers(64 << 10, 64 * MIB))
def test_no_more_passes_than_was_allowed(pieces, limit):
    clock = Clock()
    throttle = Throttle(lambda: limit, clock)
    for each in pieces:
        assert throttle.take(each, clock)
    assert sum(pieces[:-1]) / limit == pytest.approx(clock.now - 100)


def test_a_lifted_limit_is_felt_at_once():
    clock, limits = Clock(), [64 << 10]
    throttle = Throttle(lambda: limits[0], clock)
    throttle.take(64 * MIB, clock)
    limits[0] = None
    throttle.take(MIB, clock)
    assert clock.now - 100 < 1


def test_a_wait_is_cut_at_once():
    throttle, cut = Throttle(lambda: 1024), threading.Event()
    assert throttle.take(MIB, cut)
    threading.Timer(0.1, cut.set).start()
    began = time.monotonic()
    assert not throttle.take(MIB, cut)
    assert time.monotonic() - began < 1


def errand(migration, source="vc", site=""):
    return Errand(migration=migration, workflow="w", source=source, target="pool", vm="web01", site=site)


def test_a_migration_and_its_worker_are_both_obeyed():
    limits, never = Limits("64M"), threading.Event()
    began = time.monotonic()
    for _ in range(5):
        assert limits.allow(errand("one"), "", 8 * MIB, never)
        assert limits.allow(errand("two"), "1G", 8 * MIB, never)
    assert time.monotonic() - began >= 9 * 8 / 64, "both share what the worker is allowed"


@pytest.mark.parametrize(
    ("budgets", "least"),
    [
        ({"link": "64M"}, 8 / 64),
        ({"link:vc/pool": "64M", "link": "1M"}, 8 / 64),
        ({"site:dc2": "32M"}, 2 * 8 / 32),
        ({"link:vc2/pool": "1M", "site:dc3": "1M"}, 0),
    ],
)
def test_a_budget_is_of_all_migrations_on_a_link_or_of_a_site(budgets, least):
    limits, never = Limits("", budgets=budgets), threading.Event()
    began = time.monotonic()
    for migration in ("one", "two", "three"):
        assert limits.allow(errand(migration, site="dc2"), "", 8 * MIB, never)
    took = time.monotonic() - began
    assert 2 * 8 / 64 * (least > 0) <= took < 2 * max(least, 8 / 32) + 0.5
    assert took >= least


def test_a_worker_takes_its_part_of_a_budget_and_no_more():
    limits, never = Limits("", budgets={"link": "128M"}), threading.Event()
    limits.workers = 4
    began = time.monotonic()
    for _ in range(3):
        assert limits.allow(errand("one"), "", 8 * MIB, never)
    assert time.monotonic() - began >= 2 * 8 / (128 / 4)
    limits.workers = 1
    began = time.monotonic()
    for _ in range(3):
        assert limits.allow(errand("one"), "", 8 * MIB, never)
    assert time.monotonic() - began < 2 * 8 / (128 / 4) + 0.25, "the others are gone"


@pytest.mark.parametrize("name", ["host", "host:vc/esx1", "link:", "lan", ""])
def test_only_links_and_sites_have_a_budget(name):
    with pytest.raises(ValueError, match="write link or site"):
        CapacityConfig(bandwidth={name: "1M"})
    assert CapacityConfig(bandwidth={"link": "1M", "site:dc2": "off"}).flat() == {}


def test_no_more_disks_at_once_from_one_host_than_its_turns():
    limits, never, cut = Limits("", {"vc": 1}), threading.Event(), threading.Event()
    with limits.turn("vc", "esx1", never) as first:
        threading.Timer(0.1, cut.set).start()
        with limits.turn("vc", "esx1", cut) as second, limits.turn("vc", "esx2", never) as other:
            assert (first, second, other) == (True, False, True)
    with limits.turn("vc", "esx1", never) as again:
        assert again


@pytest.mark.parametrize(
    ("limit", "least"),
    [
        ("", None),
        ("off", None),
        ("1M", 86400 << 20),
        ("08:00,1M 20:00,off", None),
        ("08:00,1M 20:00,3M", 2 * (86400 << 20)),
        ("Mon-00:00,1M Wed-00:00,off", 86400 << 20),
    ],
)
def test_the_least_that_passes_in_a_day_is_known_beforehand(limit: str, least: int | None) -> None:
    assert parse_bandwidth(limit).least_in_a_day() == least
