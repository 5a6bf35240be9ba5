"""`retry --from`: what was copied is kept, and what can no longer be believed is compared or proven again."""

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from contracts.machine import OwnerMark
from contracts.names import Phase
from contracts.told import Report
from tests.workflows.one_workflow import PASS, PREPARE, Migration


async def failed_one(migration: Migration) -> Report:
    """A migration that failed in its third pass."""
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    migration.steps.fail("freeze", "transport.none")
    await migration.update("sync_now")
    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    return Report.model_validate(cause.details[0])


def adopting(report: Report) -> dict[str, Any]:
    assert report.errand is not None
    return {
        "migration": report.errand.migration,
        "store_id": report.errand.store_id,
        "epoch": report.epoch,
        "pass_no": report.pass_no,
    }


async def test_a_new_run_goes_on_with_what_a_failed_one_copied_and_compares_it_all_once(migration: Migration):
    report = await failed_one(migration)
    assert (report.kept_vdis, report.pass_no) == (("vdi-1",), 3)
    migration.steps.said.clear()
    migration.steps.copies_as = "compare"

    await migration.start(adopt=adopting(report), delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.update("sync_now")
    status = await migration.until(lambda status: len(status.passes) == 2)

    assert migration.steps.said[: len(PREPARE) + len(PASS)] == [*PREPARE, *PASS]
    assert status.migration == report.migration, "its VDIs, its journals and its mark are found by that"
    copies = [each for each in migration.steps.orders if hasattr(each, "distrust")]
    assert [each.pass_no for each in copies[2:]] == [4, 5], "no pass bears a number that its journal has closed"
    assert [bool(each.distrust) for each in copies] == [False, False, True, False]
    assert migration.steps.epoch_of("claim_source") > (report.epoch or 0)
    assert migration.steps.epoch_of("make_shell") > (report.epoch or 0)


async def test_until_all_disks_were_compared_nothing_is_believed(migration: Migration):
    report = await failed_one(migration)
    migration.steps.fail("copy_disk", "xapi.sr_full")  # before it came to a plan
    migration.steps.copies_as = "compare"

    await migration.start(adopt=adopting(report), delta_interval="1h")
    await migration.until(lambda status: status.needs_human == "xapi.sr_full")
    await migration.update("retry")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.update("sync_now")
    await migration.until(lambda status: len(status.passes) == 3)

    copies = [each for each in migration.steps.orders if hasattr(each, "distrust")]
    assert [bool(each.distrust) for each in copies[2:5]] == [True, True, False]


async def test_one_that_has_not_let_go_of_its_vm_is_not_adopted(migration: Migration):
    report = await failed_one(migration)
    migration.steps.said.clear()
    assert report.errand is not None
    migration.steps.owner = OwnerMark(migration=report.migration, workflow=report.errand.workflow)

    await migration.start(adopt=adopting(report))
    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()

    assert failed.value.cause.type == "vm.already_migrating"
    assert migration.steps.said == ["preflight"]


async def test_another_store_is_not_taken_for_the_one_that_knows_the_disks(migration: Migration):
    report = await failed_one(migration)

    await migration.start(adopt={**adopting(report), "store_id": "lost"}, delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)

    copy = migration.steps.ordered["copy_disk"]
    assert copy.errand.store_id == "lost", "which each worker compares with its own (SAFETY 6)"


async def test_a_parked_one_compares_all_when_that_is_asked_for(migration: Migration):
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    migration.steps.fail("freeze", "vsphere.snapshot_failed")
    await migration.update("sync_now")
    await migration.until(lambda status: bool(status.needs_human))

    await migration.update("retry", {"who": "ann", "from_phase": "initial-sync"})

    await migration.until(lambda status: len(status.passes) >= 3)
    assert migration.steps.ordered["copy_disk"].distrust == "ann asked for a comparison of all"


async def test_a_proof_that_did_not_hold_is_made_again_instead_of_accepted(migration: Migration):
    migration.steps.source_proof_holds = False
    await migration.start(approval="auto")
    await migration.until(lambda status: status.needs_human == "verify.source_differs")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await migration.update("retry", {"who": "ann", "from_phase": "initial-sync"})
    assert refused.value.cause.type == "request.invalid"
    migration.steps.source_proof_holds = True

    await migration.update("retry", {"who": "ann", "from_phase": "proof"})

    report = await migration.report()
    assert report.proof_target_is_source == "holds"
    assert migration.steps.said.count("prove_source") == 2


async def test_from_proof_is_refused_where_no_proof_is_due(migration: Migration):
    migration.steps.fail("make_shell", "xapi.sr_full")
    await migration.start()
    await migration.until(lambda status: status.needs_human == "xapi.sr_full")

    for phase in ("proof", "initial-sync"):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await migration.update("retry", {"who": "ann", "from_phase": phase})
        assert refused.value.cause.type == "request.invalid"
