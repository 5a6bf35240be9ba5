"""Steps that the request approved: once the machine is ours, in their order, and what follows is looked at anew."""

import pytest
from temporalio.client import WorkflowFailureError

from contracts.machine_facts import SnapshotFacts
from contracts.names import Phase
from tests.workflows.one_workflow import Migration

BOTH = {"eject-iso": "nobody needs it", "remove-snapshots": "agreed with the owner"}


async def test_approved_steps_come_after_the_mark_and_the_preflight_is_made_again(migration: Migration) -> None:
    migration.steps.snapshots = (SnapshotFacts(ref="snapshot-7", name="before the update"),)
    await migration.start(approved_steps=BOTH)
    status = await migration.until_phase(Phase.AWAITING_APPROVAL)

    begun = migration.steps.said[: migration.steps.said.index("make_shell")]
    assert begun == ["preflight", "claim_source", "take_approved_step", "take_approved_step", "preflight"]
    first, second = (order for order in migration.steps.orders if hasattr(order, "step"))
    assert (first.step, first.snapshots) == ("remove-snapshots", ("snapshot-7",))
    assert second.step == "eject-iso"
    assert not any("before the update" in fact for fact in status.approval_facts), "what is gone is not approved"
    assert [(each.decision, each.note) for each in status.decisions] == [
        ("remove-snapshots", "agreed with the owner"),
        ("eject-iso", "nobody needs it"),
    ]


async def test_without_approved_steps_none_is_taken(migration: Migration) -> None:
    await migration.start()
    await migration.until_phase(Phase.AWAITING_APPROVAL)

    assert "take_approved_step" not in migration.steps.said
    assert migration.steps.said.count("preflight") == 1


async def test_a_step_that_fails_takes_the_mark_off_again(migration: Migration) -> None:
    migration.steps.fail("take_approved_step", "source.stale_epoch")
    await migration.start(approved_steps=BOTH)

    with pytest.raises(WorkflowFailureError):
        await migration.handle.result()
    assert migration.steps.said == ["preflight", "claim_source", "take_approved_step!", "release_source"]


async def test_a_step_that_only_a_human_can_mend_waits_for_a_retry(migration: Migration) -> None:
    migration.steps.fail("take_approved_step", "vsphere.question_pending")
    await migration.start(approved_steps={"eject-iso": "nobody needs it"})
    await migration.until(lambda status: status.needs_human == "vsphere.question_pending")

    await migration.update("retry", {"who": "ann"})
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    assert migration.steps.said[:4] == ["preflight", "claim_source", "take_approved_step!", "take_approved_step"]
