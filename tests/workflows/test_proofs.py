"""When and how a migration proves its target and its source, and what becomes of what it finds."""

import contextlib

import pytest
from temporalio.client import WorkflowFailureError

from contracts.names import Phase
from contracts.steps import ProofOrder
from contracts.told import Report
from tests.workflows.one_workflow import LEAVE

A_GOOD_DEAL = 200 << 20
"""Bytes of which the read-back takes longer, at the pace of these passes, than a tight budget has."""


def parts(steps):
    return [said.part for said in steps.orders if isinstance(said, ProofOrder) and said.snapshot_vdi]


async def test_where_the_downtime_has_no_time_most_of_the_proof_is_made_while_the_source_runs(migration):
    migration.steps.allocated = A_GOOD_DEAL
    migration.steps.reads_between = True
    await migration.start(approval="auto", downtime_budget="31s")  # no more than shutdown and start take

    report = await migration.report()

    assert report.proof_target_is_sent == "holds"
    assert parts(migration.steps) == ["between", "since"]
    said = migration.steps.said
    assert said.index("prove_target") < said.index("power_off_source")
    assert said.index("snapshot_target") < len(said) - 1 - said[::-1].index("prove_target") < said.index("start_target")


async def test_where_the_pool_reads_no_ranges_the_proof_comes_after_the_start(migration):
    migration.steps.allocated = A_GOOD_DEAL
    await migration.start(approval="auto", downtime_budget="31s", max_passes=2)

    report = await migration.report()

    assert report.proof_target_is_sent == "holds"
    assert parts(migration.steps) == ["between", "whole"]
    said = migration.steps.said
    assert said.index("start_target") < len(said) - 1 - said[::-1].index("prove_target")


async def test_a_disk_that_is_read_back_with_its_holes_keeps_no_machine_off_for_hours(migration):
    migration.steps.capacity = 3 << 40  # too large for a VHD, and all but empty
    await migration.start(approval="auto", max_passes=2)

    report = await migration.report()

    assert report.proof_target_is_sent == "holds"
    said = migration.steps.said
    assert (
        said.index("power_off_source") < said.index("start_target") < len(said) - 1 - said[::-1].index("prove_target")
    )
    assert "prove_target" not in said[said.index("power_off_source") : said.index("start_target")]


async def test_where_no_ranges_are_read_a_snapshot_is_and_later_its_difference(migration):
    migration.steps.allocated = A_GOOD_DEAL
    migration.steps.reads_between = migration.steps.tells_differences = True
    await migration.start(downtime_budget="32s")
    status = await migration.until(lambda status: "to snapshots that were read back" in status.predicted_proof)
    assert status.predicted_downtime_s < 32
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()

    report = await migration.report()

    assert report.proof_target_is_sent == "holds"
    proofs = [said for said in migration.steps.orders if isinstance(said, ProofOrder) and said.snapshot_vdi]
    assert [(each.part, each.snapshot_vdi, each.base) for each in proofs] == [
        ("between", "base-1", "base-1"), ("since", "vdi-1-snap", "base-1"),
    ]  # fmt: skip
    said = migration.steps.said
    assert said.index("start_target") < said.index("drop_bases") < said.index("prove_source")
    assert said.count("drop_bases") == 1


@pytest.mark.parametrize("ending", ["a cancel", "a failure", "a rollback in the cutover", "a cancel while it is read"])
async def test_a_snapshot_that_was_read_back_goes_whatever_the_ending(migration, ending):
    steps = migration.steps
    steps.allocated = A_GOOD_DEAL
    steps.reads_between = steps.tells_differences = True
    steps.hold_power_off = ending == "a rollback in the cutover"
    steps.hold_target_proof = ending == "a cancel while it is read"
    if ending == "a failure":
        steps.fail("unblock_target", "store.damaged")
    await migration.start(downtime_budget="32s")
    if steps.hold_target_proof:
        await migration.until(lambda status: "prove_target" in steps.said)
    else:
        await migration.until(lambda status: "to snapshots that were read back" in status.predicted_proof)
        await migration.until_phase(Phase.AWAITING_APPROVAL)
    if ending.startswith("a cancel"):
        await migration.handle.cancel()
    else:
        await migration.approve()
    if steps.hold_power_off:
        await migration.until(lambda status: "power_off_source" in steps.said)
        await migration.update("rollback", {"who": "ann"})

    with contextlib.suppress(WorkflowFailureError):
        await migration.report()

    said = steps.said
    assert said[said.index("drop_bases") :] == ["drop_bases", "change_tracking_off", "remove_shell", "release_source"]
    assert "start_target" not in said


async def test_a_pool_that_refuses_the_difference_keeps_no_snapshot_and_is_proven_after_the_start(migration):
    migration.steps.allocated = A_GOOD_DEAL
    migration.steps.tells_differences = True
    await migration.start(downtime_budget="32s")
    await migration.until(lambda status: "after the start (not made" in status.predicted_proof)
    assert "drop_bases" in migration.steps.said
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()

    report = await migration.report()

    assert parts(migration.steps) == ["between", "whole"]
    assert migration.steps.said.count("drop_bases") == 1
    assert "after the start; not made" in report.disks[0].proof_target_is_sent.method


async def test_a_pool_that_serves_no_export_proves_by_its_checksum_after_the_start(migration):
    migration.steps.serves_exports = False
    await migration.start(approval="auto")

    report = await migration.report()

    said = migration.steps.said
    assert said[said.index("start_target") + 1 :] == ["prove_target", "prove_by_checksum", *LEAVE]
    assert (report.outcome, report.proof_target_is_sent, report.proof_target_is_source) == ("done", "holds", "holds")
    [disk] = report.disks
    assert disk.proof_target_is_sent.method == "VDI.checksum (not made: HTTP 404)"
    assert disk.proof_target_is_source.method == "full read"
    ordered = migration.steps.ordered["prove_by_checksum"]
    assert (ordered.snapshot_vdi, ordered.freeze.final) == ("vdi-1-snap", True)


@pytest.mark.parametrize(
    ("proof", "code"), [("proof_holds", "verify.target_differs"), ("source_proof_holds", "verify.source_differs")]
)
async def test_what_a_checksum_finds_is_told_and_offers_a_rollback(migration, proof, code):
    migration.steps.serves_exports = False
    setattr(migration.steps, proof, False)
    await migration.start(approval="auto")

    status = await migration.until(lambda status: bool(status.needs_human))

    assert status.needs_human == code
    assert "at no known place" in status.message
    since = status.started_at.isoformat()
    await migration.update("rollback", {"who": "ann", "lose_target_writes_since": since})
    assert (await migration.report()).outcome == "rolled-back"


async def test_a_cancel_while_no_proof_of_the_target_is_made_yet_says_so(migration):
    migration.steps.serves_exports = False
    migration.steps.hold_source_proof = True
    await migration.start(approval="auto")
    await migration.until(lambda status: "prove_by_checksum" in migration.steps.said)

    await migration.handle.cancel()
    await migration.until_phase(Phase.CANCELLED)

    report = await migration.handle.query("report", result_type=Report)
    assert (report.proof_target_is_sent, report.proof_target_is_source) == ("not-made", "not-made")


async def test_snapshots_that_cannot_be_taken_are_tried_again_after_a_later_pass(migration):
    migration.steps.allocated = A_GOOD_DEAL
    migration.steps.reads_between = migration.steps.tells_differences = True
    migration.steps.fail("take_bases", "xapi.sr_full")
    await migration.start(downtime_budget="32s")

    await migration.until(lambda status: "to snapshots that were read back" in status.predicted_proof)

    said = migration.steps.said
    assert said[said.index("take_bases!") + 1] == "drop_bases"


async def test_what_the_reading_between_passes_finds_is_sent_by_a_pass_at_once(migration):
    migration.steps.allocated = A_GOOD_DEAL
    migration.steps.reads_between = True
    migration.steps.proofs_that_differ = 1
    await migration.start(downtime_budget="31s", delta_interval="1h")

    status = await migration.until(lambda status: parts(migration.steps)[:2] == ["between", "between"])

    first, second = (number for number, step in enumerate(migration.steps.said) if step == "prove_target")
    assert migration.steps.said[first + 1 : second] == ["freeze", "copy_disk", "seal", "take_bases"]
    assert len(status.passes) >= 2


async def test_the_reading_between_passes_gives_way_to_whatever_somebody_wants(migration):
    migration.steps.allocated = A_GOOD_DEAL
    migration.steps.reads_between = migration.steps.hold_target_proof = True
    await migration.start(downtime_budget="31s", delta_interval="1h")
    await migration.until(lambda status: "prove_target" in migration.steps.said)
    passes = migration.steps.said.count("seal")

    await migration.update("sync_now", {"who": "ann"})

    await migration.until(lambda status: migration.steps.said.count("seal") > passes)
    migration.steps.hold_target_proof = False


async def test_what_a_proof_finds_is_sent_again_and_proven_again(migration):
    migration.steps.proofs_that_differ = 1
    await migration.start(approval="auto")

    report = await migration.report()

    assert (report.outcome, report.proof_target_is_sent) == ("done", "holds")
    assert [proof.differences for proof in report.disks[0].repaired] == [(4096,)]
    said = migration.steps.said
    first, second = (number for number, step in enumerate(said) if step == "prove_target")
    assert said[first + 1 : second] == ["freeze", "copy_disk", "seal", "snapshot_target"]
