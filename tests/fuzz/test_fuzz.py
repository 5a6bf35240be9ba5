"""A few thousand inputs each time, a million of them in `make test-long`."""

import pytest

from tests.fuzz.__main__ import run
from tests.fuzz.readers import READERS
from tests.fuzz.running import fuzz

MEMORY_MIB = 64


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name.split(",")[0].split(" ")[0])
def test_almost_right_bytes_are_taken_or_refused(reader):
    outcome = fuzz(reader, 3000, seed=1)

    assert outcome.findings == []
    assert outcome.grown_mib < MEMORY_MIB
    assert 0 < outcome.taken < outcome.inputs, "both must happen, or the inputs are worthless"


@pytest.mark.long
def test_a_million_of_them_crash_nothing_hang_nothing_and_need_little_memory():
    outcomes = run(1_000_000, seed=20_000_000)

    assert sum(outcome.inputs for outcome in outcomes) >= 1_000_000
    for outcome in outcomes:
        assert outcome.findings == []
        assert outcome.grown_mib < MEMORY_MIB
