"""A few thousand inputs each time, a million of them in `make test-long`."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import run
from tests.fuzz.readers import READERS
from tests.fuzz.running import SLOW, fuzz

MEMORY_MIB = 64


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name.split(",")[0].split(" ")[0])
def test_almost_right_bytes_are_taken_or_refused(reader):
    outcome = fuzz(reader, 3000, seed=1)

    assert outcome.findings == []
    assert outcome.grown_mib < MEMORY_MIB
    assert 0 < outcome.taken < outcome.inputs, "both must happen, or the inputs are worthless"


def test_the_page_of_results_tells_of_a_million_inputs_all_readers_and_no_finding():
    page = Path(__file__).parents[2] / "docs" / "results" / "fuzz.md"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.read_text().splitlines() if "|" in line]

    told = {name: [float(number) for number in numbers] for name, *numbers in rows[2:]}

    assert set(told) == {reader.name for reader in READERS}
    assert sum(inputs for inputs, *_ in told.values()) >= 1_000_000
    for inputs, taken, refused, findings, slowest_ms, grown_mib, _ in told.values():
        assert (taken + refused, findings) == (inputs, 0)
        assert slowest_ms < 1000 * SLOW
        assert grown_mib < MEMORY_MIB


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_million_of_them_crash_nothing_hang_nothing_and_need_little_memory():
    outcomes = run(1_000_000, seed=20_000_000)

    assert sum(outcome.inputs for outcome in outcomes) >= 1_000_000
    for outcome in outcomes:
        assert outcome.findings == []
        assert outcome.grown_mib < MEMORY_MIB
