"""A test copy in the order of things: nothing is stopped, nothing is fenced, and nobody calls it migrated."""

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from contracts.machine import Power
from contracts.names import Phase
from tests.workflows.one_workflow import PASS, PREPARE, Migration

COPY = {"test_copy": True}
LEAVE = ["change_tracking_off", "finish_target", "release_source"]


async def test_one_freeze_is_copied_proven_and_released_and_the_source_runs_on(migration: Migration):
    await migration.start(**COPY)

    report = await migration.report()

    assert migration.steps.said == [*PREPARE, *PASS, "prove_target", "diverge_target", "unblock_target", *LEAVE]
    assert migration.steps.ordered["make_shell"].test_copy
    assert (report.outcome, report.target_vm, report.passes) == ("test-copy", "shell-1", 1)
    assert report.proof_target_is_sent == "holds"
    assert report.proof_target_is_source == "not-made"
    assert report.downtime_s is None
    assert migration.steps.power is Power.ON
    assert any("00:50:56:aa:00:01" in note and "left out" in note for note in report.notes)
    status = await migration.status()
    assert status.phase is Phase.TEST_COPY


async def test_it_is_started_only_where_that_was_asked_for(migration: Migration):
    await migration.start(**COPY, start_target=True)

    assert (await migration.report()).outcome == "test-copy"
    assert "start_target" in migration.steps.said


async def test_a_pass_that_is_cut_is_followed_by_another_until_one_is_whole(migration: Migration):
    migration.steps.hold_copies = True
    await migration.start(**COPY)
    await migration.until(lambda status: "copy_disk" in migration.steps.said)
    await migration.update("pause")
    await migration.until(lambda status: "seal-cut" in migration.steps.said)
    migration.steps.hold_copies = False
    await migration.update("resume")

    report = await migration.report()
    assert [each.complete for each in report.pass_list] == [False, True]
    assert report.outcome == "test-copy"


async def test_one_that_is_off_is_copied_off(migration: Migration):
    migration.steps.power, migration.steps.warm = Power.OFF, False
    await migration.start(**COPY)

    assert (await migration.report()).outcome == "test-copy"
    assert migration.steps.ordered["freeze"].final
    assert "power_on_source" not in migration.steps.said


async def test_there_is_nothing_to_approve_and_nothing_to_roll_back(migration: Migration):
    migration.steps.hold_target_proof = True
    await migration.start(**COPY)
    status = await migration.until(lambda status: "prove_target" in migration.steps.said)

    for name, said in (
        ("approve", {"who": "ann", "approval_ticket": status.approval_ticket}),
        ("rollback", {"who": "ann"}),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await migration.update(name, said)
        assert refused.value.cause.type == "message.wrong_phase"
    migration.steps.hold_target_proof = False
    await migration.report()
    assert "power_off_source" not in migration.steps.said


async def test_a_copy_that_differs_is_no_copy(migration: Migration):
    migration.steps.proof_holds = False
    await migration.start(**COPY)

    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()

    assert failed.value.cause.type == "verify.target_differs"
    assert migration.steps.said[-3:] == ["change_tracking_off", "remove_shell", "release_source"]


async def test_a_cancel_undoes_it(migration: Migration):
    migration.steps.hold_copies = True
    await migration.start(**COPY)
    await migration.until(lambda status: "copy_disk" in migration.steps.said)

    await migration.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await migration.report()

    assert migration.steps.said[-3:] == ["change_tracking_off", "remove_shell", "release_source"]


@pytest.mark.parametrize("more", [{"probation": "14d"}, {"retire": "rename"}, {"smoke": {}}])
async def test_what_comes_after_a_migration_does_not_come_after_a_copy(migration: Migration, more):
    with pytest.raises(WorkflowFailureError) as failed:
        await (await migration.start(**COPY, **more)).report()

    assert "test_copy stops no source" in repr(failed.value.cause)
    assert migration.steps.said == []
