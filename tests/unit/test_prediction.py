"""What is proven within the downtime, and how long that takes."""

from datetime import timedelta

import pytest

from contracts.migration import PassSummary
from cutovers.prediction import SHUTDOWN, START, predict

GIB, MIB = 1 << 30, 1 << 20
FIRST = PassSummary(pass_no=1, kind="initial", bytes_sent=100 * GIB, seconds=1024)
"""100 MiB a second."""


def delta(number, rewritten=0, sent=100 * MIB):
    return PassSummary(pass_no=number, kind="delta", bytes_sent=sent, seconds=10, rewritten=rewritten)


def seconds(prediction):
    return prediction.downtime.total_seconds() - SHUTDOWN - START - 10


def test_a_small_disk_is_proven_whole_before_the_start():
    assert predict((FIRST, delta(2)), 1 * GIB, timedelta(minutes=5)).proof == "whole"


@pytest.mark.parametrize("first", [FIRST, PassSummary(pass_no=1, kind="initial", bytes_sent=0, seconds=1)])
def test_a_disk_too_large_for_a_vhd_is_read_back_with_its_holes_which_takes_hours(first):
    passes, tib = (first, delta(2, sent=0)), 1 << 40

    assert predict(passes, 1 * GIB, timedelta(hours=8), raw=3 * tib).proof is None
    prediction = predict(passes, 1 * GIB, timedelta(hours=10), raw=3 * tib)

    assert prediction.proof == "whole"
    assert prediction.downtime > timedelta(hours=8)


def test_a_large_disk_is_not_unless_it_was_read_back_while_the_source_ran():
    passes, budget = (FIRST, delta(2)), timedelta(minutes=1)

    assert predict(passes, 100 * GIB, budget).proof is None
    assert predict(passes, 100 * GIB, budget, read_back=True).proof == "since"


def test_a_difference_counts_with_whole_blocks_and_those_of_the_final_pass():
    passes = (FIRST, delta(2), delta(3, rewritten=400 * MIB), delta(4, rewritten=600 * MIB))

    prediction = predict(passes, 100 * GIB, timedelta(minutes=1), read_back=True, difference=True)

    assert prediction.proof == "since"
    assert seconds(prediction) == 8  # 600 MiB, and 200 more by the final pass, at 100 MiB a second


def test_a_difference_that_has_grown_too_large_is_not_counted_upon():
    passes = (FIRST, delta(2), delta(3, rewritten=40 * GIB))

    prediction = predict(passes, 100 * GIB, timedelta(minutes=1), read_back=True, difference=True)

    assert (prediction.proof, seconds(prediction)) == (None, 0)


def test_right_after_the_reading_a_difference_is_as_the_last_pass_at_least():
    prediction = predict((FIRST, delta(2)), 100 * GIB, timedelta(minutes=1), read_back=True, difference=True)

    assert seconds(prediction) == 1
