"""What an operator reads of approvals and windows, and what they are told to type."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.names import Phase
from contracts.told import Status
from starter.seen import Execution, Seen
from starter.views.deciding import decided

NOW = datetime(2026, 12, 5, 18, 48, tzinfo=UTC)
OPENS = datetime(2026, 12, 5, 22, 0, tzinfo=UTC)


def status(**more):
    return Status.model_validate(
        {"vm": "web01", "source": "vc", "target": "p", "phase": Phase.AWAITING_APPROVAL, **more}
    )


def ann(**more):
    return {"decision": "approved", "who": "ann", "at": NOW, **more}


def test_a_half_full_quorum_says_how_many_are_missing():
    told = decided(status(quorum=2, approvals=[ann()]), NOW)

    assert "approvals: 1 of 2, needs one more" in told
    assert "approvals: 0 of 3, needs 3 more" in decided(status(quorum=3), NOW)


def test_a_yes_tells_what_it_is_for_and_until_when():
    [told] = decided(status(approvals=[ann(expires_at=NOW + timedelta(hours=12), max_downtime_s=600)]), NOW)

    assert told.startswith("approved by ann, for a downtime of 10m at most, expires Sun 2026-12-06 0")
    assert told.endswith("(in 12h)")


def test_a_window_tells_how_long_it_is_until_it_opens_or_closes():
    window = {"opens": OPENS, "closes": OPENS + timedelta(hours=4)}

    [before] = decided(status(window=window), NOW)
    [within] = decided(status(window=window), OPENS + timedelta(hours=1))

    assert "(in 3h 12m)" in before
    assert "(for 3h more)" in within
    assert decided(status(window=window), OPENS + timedelta(days=1)) == []


@pytest.mark.parametrize(
    ("code", "typed"),
    [
        ("cutover.downtime_exceeded", "ferry approve web01 --max-downtime TIME"),
        ("cutover.no_window", "ferry limit web01 --window WHEN"),
        ("cutover.overran", "ferry retry web01"),
    ],
)
def test_what_holds_a_cutover_waits_for_a_human_and_says_what_to_type(code, typed):
    seen = Seen("migrate/vc/web01", Execution.RUNNING, status=status(needs_human=code, approved_by="ann"))

    assert (seen.next_command, seen.exit_code) == (typed, 5)
