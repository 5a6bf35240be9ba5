"""A source that lets us change nothing (free ESXi): what the story orders there, and what it leaves to a human."""

import pytest

from contracts.machine import Power
from contracts.names import Phase
from tests.workflows.one_workflow import CUTOVER, Migration


@pytest.fixture
def cold(migration: Migration) -> Migration:
    steps = migration.steps
    steps.read_only, steps.warm, steps.power = True, False, Power.OFF
    return migration


async def test_it_moves_cold_stays_off_and_every_step_knows_that_the_source_is_left_alone(cold: Migration) -> None:
    await cold.start(approval="auto")

    report = await cold.report()

    assert cold.steps.said == [
        "preflight", "claim_source", "make_shell", *CUTOVER, "unblock_target", "prove_source", "smoke_target",
        "finish_target", "release_source",
    ]  # fmt: skip
    assert all(order.errand.read_only for order in cold.steps.orders[1:])
    assert report.outcome == "done"
    assert any("could not be fenced" in note for note in report.notes)


async def test_one_that_is_on_at_the_cutover_waits_for_a_human_and_a_new_yes(cold: Migration) -> None:
    cold.steps.fail("power_off_source", "preflight.free_licence_running", "web01 was switched on")
    await cold.start()
    await cold.until_phase(Phase.AWAITING_APPROVAL)
    await cold.approve()
    status = await cold.until(lambda seen: seen.needs_human == "preflight.free_licence_running")
    assert "Switch it off by hand" in status.next_step
    await cold.update("retry")
    await cold.until(lambda seen: seen.phase is Phase.AWAITING_APPROVAL and not seen.needs_human)
    await cold.approve()

    assert (await cold.report()).outcome == "done"
    assert "power_on_source" not in cold.steps.said


async def test_a_rollback_after_the_start_stops_the_target_and_leaves_the_power_of_the_source_to_a_human(
    cold: Migration,
) -> None:
    cold.steps.hold_source_proof = True
    await cold.start(approval="auto", start_target=True)
    status = await cold.until(lambda seen: "prove_source" in cold.steps.said and seen.started_at is not None)
    assert status.started_at is not None
    since = status.started_at.isoformat()
    await cold.update("rollback", {"who": "ann", "lose_target_writes_since": since})
    cold.steps.hold_source_proof = False

    report = await cold.report()

    assert report.outcome == "rolled-back"
    assert "power_on_source" not in cold.steps.said
    assert cold.steps.said[-1] == "release_source"
    assert any("power it on by hand" in note for note in report.notes)
    assert (await cold.status()).next_step == "nothing: the source is as it was, off"
