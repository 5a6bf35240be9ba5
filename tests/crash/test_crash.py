"""The campaign as CI plays it, and longer."""

import asyncio
from pathlib import Path

import pytest

from tests.crash.aiming import ACTIVITIES, deal
from tests.crash.campaign import campaign, table
from tests.crash.judging import both_on, equal


@pytest.mark.timeout(1100)
def test_workers_are_killed_in_every_activity_and_every_disk_is_equal() -> None:
    made = asyncio.run(campaign(3, seed=20261123))

    assert made.wrong == [], table(made)


@pytest.mark.long
@pytest.mark.timeout(3400)
def test_workers_are_killed_in_twenty_runs() -> None:
    made = asyncio.run(campaign(20, seed=4))

    assert made.wrong == [], table(made)


def test_every_activity_is_dealt_to_somebody_and_the_same_seed_deals_the_same() -> None:
    for runs in (1, 3, 20):
        assert {aim.activity for orders in deal(runs, seed=1) for aim in orders.aims} == set(ACTIVITIES)
    assert deal(3, seed=1) == deal(3, seed=1) != deal(3, seed=2)


def test_the_judge_sees_two_machines_at_once_and_a_byte_that_differs(tmp_path: Path) -> None:
    source = [[0.0, "poweredOn"], [5.0, "poweredOff"], [9.0, "poweredOn"]]
    assert both_on(source, [[6.0, "web01", "Running"], [8.0, "web01", "Halted"]]) == []
    assert both_on(source, [[4.0, "web01", "Running"]])
    assert both_on(source, [[6.0, "web01", "Running"]])
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"x" * 1000)
    other.write_bytes(b"x" * 1000 + bytes(24))
    assert equal(one, other)
    other.write_bytes(b"x" * 999 + b"y" + bytes(24))
    assert not equal(one, other)
    other.write_bytes(b"x" * 1000 + bytes(23) + b"z")
    assert not equal(one, other)
