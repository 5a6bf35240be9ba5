"""A cutover that is undone between `diverged` and the start: the target takes deltas again where it never ran."""

import pytest
from temporalio.client import WorkflowFailureError

from contracts.names import Phase
from tests.workflows.one_workflow import CUTOVER, PASS, START, Migration

BACK = ["unfence_source", "raise_source_epoch", "power_on_source", "undo_overrides", "undiverge_target"]


@pytest.mark.parametrize(
    ("step", "blocked"), [("diverge_target", []), ("unblock_target", ["block_target", "raise_target_epoch"])]
)
async def test_what_asks_a_human_before_the_start_takes_the_mark_off_when_the_source_is_on_again(
    migration: Migration, step: str, blocked: list[str]
):
    migration.steps.fail(step, "xapi.certificate")
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()
    await migration.until(lambda status: status.needs_human == "xapi.certificate")

    said = migration.steps.said
    assert said[said.index(f"{step}!") + 1 :] == [*blocked, *BACK]
    asked = migration.steps.ordered["undiverge_target"]
    assert asked.cutover == migration.steps.epoch_of("diverge_target")
    assert asked.epoch > asked.cutover, "what a stopped worker still has in its hands is refused"

    await migration.update("retry", {"who": "ann"})
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    migration.steps.said.clear()
    await migration.approve()
    report = await migration.report()

    assert report.outcome == "done"
    said = migration.steps.said
    assert [each for each in said if each in (*CUTOVER, *START)][: len(CUTOVER) + 2] == [*CUTOVER, *START]
    assert "undiverge_target" not in said, "a target that was started has run"


async def test_where_the_target_may_have_run_the_report_says_so_and_the_mark_stays(migration: Migration):
    migration.steps.may_have_run = "web01 was started at 2026-11-25"
    migration.steps.fail("unblock_target", "store.damaged")
    await migration.start(approval="auto")

    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()

    report = failed.value.cause.details[0]  # type: ignore[union-attr]
    assert any("was started at" in each for each in report["notes"])


async def test_a_store_that_is_damaged_keeps_no_source_off_and_no_migration_from_its_end(migration: Migration):
    migration.steps.fail("diverge_target", "store.damaged")
    migration.steps.fail("undiverge_target", "store.damaged")
    await migration.start(approval="auto")

    with pytest.raises(WorkflowFailureError):
        await migration.report()

    assert migration.steps.said[-1] == "release_source"
    assert migration.steps.power.value == "on"


async def test_after_the_start_was_asked_for_nobody_takes_the_mark_off(migration: Migration):
    migration.steps.fail("start_target", "xapi.cannot_start")
    await migration.start(approval="auto")
    status = await migration.until(lambda status: status.needs_human == "xapi.cannot_start")
    assert status.started_at is not None

    await migration.update("rollback", {"who": "ann", "lose_target_writes_since": status.started_at.isoformat()})
    await migration.handle.result()

    assert "undiverge_target" not in migration.steps.said
    assert PASS[0] in migration.steps.said
