"""The order of things in a migration, on a real Temporal server, with steps that exist on paper."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError

from contracts.machine import Power
from contracts.names import Phase
from contracts.steps import Check
from contracts.told import Report
from tests.workflows.one_workflow import CUTOVER, LEAVE, PASS, PREPARE, START, Migration


@pytest.mark.parametrize("cached_workflows", [100, 0], ids=["cached", "replayed at every task"])
async def test_a_migration_goes_from_preflight_to_proof_in_the_order_of_the_rules(migration, cached_workflows):
    await migration.start(approval="auto")

    report = await migration.report()

    assert migration.steps.said == [*PREPARE, *PASS, *PASS, *CUTOVER, *START, "prove_source", *LEAVE]
    assert report.outcome == "done"
    assert (report.proof_target_is_sent, report.proof_target_is_source) == ("holds", "holds")
    assert report.passes == 3
    assert not migration.steps.both_on_at_once


async def test_a_human_decides_the_cutover_and_deltas_go_on_until_then(migration):
    await migration.start()
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    before = len(migration.steps.said)
    status = await migration.until(lambda status: len(status.passes) >= 4)
    assert "power_off_source" not in migration.steps.said
    assert len(migration.steps.said) > before

    await migration.approve()

    report = await migration.report()
    assert [decision.who for decision in report.decisions] == ["ann"]
    assert report.decisions[0].approval_ticket == status.approval_ticket
    assert report.decisions[0].predicted_downtime_s is not None


@pytest.mark.parametrize(
    ("name", "said", "code"),
    [
        ("approve", {"approval_ticket": "stale", "who": "ann"}, "message.stale_ticket"),
        ("rollback", {"who": "ann"}, "message.wrong_phase"),
        ("retry", {"who": "ann"}, "message.wrong_phase"),
        ("set_limits", {"who": "ann"}, "request.invalid"),
    ],
)
async def test_a_message_that_does_not_fit_is_refused_with_its_code(migration, name, said, code):
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await migration.update(name, said)

    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == code


async def test_another_limit_cuts_the_copy_which_goes_on_with_it_in_the_same_pass(migration):
    migration.steps.hold_copies = True
    await migration.start(delta_interval="1h", bandwidth="1M")
    await migration.until(lambda status: "copy_disk" in migration.steps.said)
    assert migration.steps.ordered["copy_disk"].bandwidth == "1M"

    await migration.update("set_limits", {"who": "ann", "bandwidth": "08:00,50M 19:00,off"})
    await migration.until(lambda status: migration.steps.said.count("copy_disk") == 2)
    assert migration.steps.ordered["copy_disk"].bandwidth == "08:00,50M 19:00,off"
    await migration.update("set_limits", {"bandwidth": "off"})
    await migration.until(lambda status: migration.steps.said.count("copy_disk") == 3)
    migration.steps.hold_copies = False

    status = await migration.until_phase(Phase.AWAITING_APPROVAL)
    assert status.bandwidth == "off"
    assert (status.passes[0].pass_no, status.passes[0].complete) == (1, True)
    assert migration.steps.said.count("freeze") == len(status.passes), "no pass more for it"


async def test_an_unknown_field_in_a_message_is_refused(migration):
    await migration.start(delta_interval="1h")
    status = await migration.until_phase(Phase.AWAITING_APPROVAL)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await migration.update("approve", {"approval_ticket": status.approval_ticket, "who": "ann", "aproved": True})

    assert "aproved" in repr(refused.value.cause) + repr(refused.value.cause.cause)


async def test_signal_twins_do_what_their_updates_do_and_record_what_was_ignored(migration):
    await migration.start(delta_interval="1h")
    status = await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.handle.signal("approve_cutover", {"approval_ticket": "stale", "who": "ann"})
    await migration.handle.signal("nonsense")
    await migration.handle.signal("reject_cutover", {"no": "who"})
    await migration.until(lambda status: len(status.signals) == 3)

    await migration.handle.signal("approve_cutover", {"approval_ticket": status.approval_ticket, "who": "ann"})

    assert (await migration.report()).outcome == "done"
    outcomes = [heard.outcome for heard in (await migration.status()).signals]
    assert outcomes[0].startswith("ignored: message.stale_ticket")
    assert outcomes[1] == "ignored: no such signal"
    assert outcomes[2].startswith("ignored: request.invalid")
    assert outcomes[3] == "accepted"


async def test_blockers_end_it_before_anything_is_touched(migration):
    migration.steps.checks = (Check(code="preflight.rdm_disk", severity="blocker", message="scsi0:1"),)
    await migration.start()

    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()

    assert failed.value.cause.type == "preflight.rdm_disk"
    assert failed.value.cause.message == "scsi0:1", "its code is told beside it, once"
    assert migration.steps.said == ["preflight"]


async def test_bad_input_fails_the_workflow_instead_of_hanging_it(migration):
    await migration.start(downtime="5m")

    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()

    assert "downtime" in repr(failed.value.cause) + repr(failed.value.cause.cause)


@pytest.mark.parametrize(
    ("step", "undone"),
    [
        ("make_shell", ["remove_shell", "release_source"]),
        ("change_tracking_on", ["change_tracking_off", "remove_shell", "release_source"]),
        ("freeze", ["thaw", "change_tracking_off", "remove_shell", "release_source"]),
        ("copy_disk", ["seal-cut", "change_tracking_off", "remove_shell", "release_source"]),
    ],
)
async def test_a_failure_before_the_start_brings_everything_back(migration, step, undone):
    migration.steps.fail(step, "store.damaged")
    await migration.start()

    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()

    said = migration.steps.said
    assert failed.value.cause.type == "store.damaged"
    assert said[said.index(f"{step}!") + 1 :] == undone
    assert migration.steps.power.value == "on"


@pytest.mark.parametrize("step", ["fence_source", "snapshot_target", "diverge_target", "unblock_target"])
async def test_a_cutover_that_fails_before_the_start_powers_the_source_on_again(migration, step):
    migration.steps.fail(step, "store.damaged")
    await migration.start(approval="auto")

    with pytest.raises(WorkflowFailureError):
        await migration.report()

    parted = ["undiverge_target"] if step in ("diverge_target", "unblock_target") else []
    said = migration.steps.said
    assert said[-7 - len(parted) :] == [
        "unfence_source", "raise_source_epoch", "power_on_source", "undo_overrides", *parted,
        "change_tracking_off", "remove_shell", "release_source",
    ]  # fmt: skip
    assert migration.steps.power.value == "on"
    assert "start_target" not in said


async def test_a_target_that_is_not_what_was_sent_is_never_started(migration):
    migration.steps.proof_holds = False
    await migration.start(approval="auto")

    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()

    assert failed.value.cause.type == "verify.target_differs"
    assert "start_target" not in migration.steps.said
    assert migration.steps.power.value == "on"


@pytest.mark.parametrize(("step", "last"), [("make_shell", "make_shell!"), ("copy_disk", "seal-cut")])
async def test_what_a_human_must_mend_is_waited_for_and_then_tried_again(migration, step, last):
    migration.steps.fail(step, "xapi.sr_full", "SR local is full")
    await migration.start()
    status = await migration.until(lambda status: bool(status.needs_human))
    assert status.needs_human == "xapi.sr_full"
    assert migration.steps.said[-1] == last  # the source is thawed while it waits

    await migration.update("retry", {"who": "ann"})

    await migration.until_phase(Phase.AWAITING_APPROVAL)


async def test_who_is_asked_about_a_final_pass_that_cannot_be_sealed_is_asked_with_the_source_running(migration):
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    migration.steps.fail("seal", "store.unwritable")
    await migration.approve()
    await migration.until(lambda status: status.needs_human == "store.unwritable")
    assert migration.steps.power is Power.ON
    migration.steps.fail("seal-cut", "store.unwritable")  # not mended: nothing is powered off again before it is
    powered_off = migration.steps.said.count("power_off_source")

    await migration.update("retry", {"who": "ann"})
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()
    await migration.until(lambda status: status.needs_human == "store.unwritable")
    assert migration.steps.said.count("power_off_source") == powered_off
    await migration.update("retry", {"who": "ann"})
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()

    report = await migration.report()
    assert report.outcome == "done"
    assert "seal-cut" in migration.steps.said
    assert not migration.steps.both_on_at_once


async def test_a_guest_that_does_not_shut_down_leaves_it_running_and_asks(migration):
    migration.steps.fail("power_off_source", "source.shutdown_timeout")
    await migration.start()
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()
    await migration.until(lambda status: status.needs_human == "source.shutdown_timeout")
    undone = [each for each in migration.steps.said if each != "source_goes_off"]
    assert undone[-2:] == ["power_on_source", "undo_overrides"]

    await migration.update("retry")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()

    assert (await migration.report()).outcome == "done"
    power_offs = [order.epoch for order in migration.steps.orders if type(order).__name__ == "PowerOffOrder"]
    assert power_offs == [1, 3], "a power-off of the first cutover, still under way somewhere, is refused by now"
    assert migration.steps.epoch_of("power_on_source") == 2, "and so is its power-on, once the second cutover began"


async def test_a_target_that_may_be_started_is_blocked_again_before_the_source_comes_back(migration):
    migration.steps.fail("unblock_target", "xapi.no_permission")
    await migration.start(approval="auto")
    await migration.until(lambda status: status.needs_human == "xapi.no_permission")

    said = migration.steps.said
    assert said[said.index("unblock_target!") + 1 :] == [
        "block_target", "raise_target_epoch", "unfence_source", "raise_source_epoch", "power_on_source",
        "undo_overrides", "undiverge_target",
    ]  # fmt: skip
    raised = [order for order in migration.steps.orders if type(order).__name__ == "ShellRef"][-1]
    assert raised.epoch == 2, "an unblock that a stopped worker still has in its hands is refused"


async def test_a_vm_that_was_changed_after_the_approval_is_not_powered_off(migration):
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    migration.steps.mac = "00:50:56:aa:00:99"

    await migration.approve()

    await migration.until(lambda status: status.needs_human == "vm.changed")
    assert "power_off_source" not in migration.steps.said


async def test_a_pause_cuts_the_pass_and_thaws_and_a_resume_goes_on(migration):
    migration.steps.hold_copies = True
    await migration.start()
    await migration.until(lambda status: "copy_disk" in migration.steps.said)
    await migration.update("pause", {"who": "ann"})
    await migration.until(lambda status: migration.steps.said[-1] == "seal-cut")
    migration.steps.hold_copies = False
    await asyncio.sleep(0.3)
    assert migration.steps.said[-1] == "seal-cut"

    await migration.update("resume", {"who": "ann"})

    await migration.until_phase(Phase.AWAITING_APPROVAL)


async def test_a_pause_does_no_harm_while_the_pool_does_not_answer(migration):
    """An activity that is called off is not tried again by the server, whatever it then fails with."""
    migration.steps.hold_copies = True
    migration.steps.fails_when_cut = "xapi.unreachable"
    await migration.start()
    await migration.until(lambda status: "copy_disk" in migration.steps.said)
    await migration.update("pause", {"who": "ann"})
    await migration.until(lambda status: migration.steps.said[-1] == "seal-cut")
    migration.steps.hold_copies = False

    await migration.update("resume", {"who": "ann"})

    await migration.until_phase(Phase.AWAITING_APPROVAL)


async def test_a_pause_does_no_harm_when_the_worker_dies_of_it(migration):
    migration.steps.hold_copies = migration.steps.dies_when_cut = True
    await migration.start()
    await migration.until(lambda status: "copy_disk" in migration.steps.said)
    await migration.update("pause", {"who": "ann"})
    await migration.until(lambda status: migration.steps.said[-1] == "seal-cut")
    migration.steps.hold_copies = False

    await migration.update("resume", {"who": "ann"})

    await migration.until_phase(Phase.AWAITING_APPROVAL)


async def test_a_rollback_counts_although_the_step_that_it_cuts_fails(migration):
    migration.steps.hold_power_off = True
    migration.steps.fails_when_cut = "vsphere.busy"
    await migration.start(approval="auto")
    await migration.until(lambda status: "power_off_source" in migration.steps.said)

    await migration.update("rollback", {"who": "ann"})

    assert (await migration.report()).outcome == "rolled-back"
    assert migration.steps.power.value == "on"


async def test_a_cancel_before_the_start_brings_the_source_back(migration):
    migration.steps.hold_copies = True
    await migration.start()
    await migration.until(lambda status: "copy_disk" in migration.steps.said)

    await migration.handle.cancel()

    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()
    assert isinstance(failed.value.cause, CancelledError)
    assert migration.steps.said[-4:] == ["seal-cut", "change_tracking_off", "remove_shell", "release_source"]
    report = await migration.handle.query("report", result_type=Report)
    assert report.outcome == "cancelled"
    assert report.kept_vdis == ("vdi-1",)


async def _cancelled(migration: Migration) -> Report:
    await migration.handle.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()
    assert isinstance(failed.value.cause, CancelledError)
    return await migration.handle.query("report", result_type=Report)


@pytest.mark.parametrize(
    ("step", "undone"),
    [
        ("preflight", []),
        ("make_shell", ["remove_shell", "release_source"]),
        ("freeze", ["thaw", "change_tracking_off", "remove_shell", "release_source"]),
    ],
)
async def test_a_cancel_is_heard_while_a_step_is_tried_for_ever(migration, step, undone):
    migration.steps.fail(step, "vsphere.unreachable", times=1000)
    await migration.start()
    await migration.until(lambda status: migration.steps.said.count(f"{step}!") >= 2)

    report = await _cancelled(migration)

    assert report.outcome == "cancelled"
    done = [name for name in migration.steps.said if not name.endswith("!")]
    assert done[len(done) - len(undone) :] == undone
    assert "copy_disk" not in done


async def test_a_cancel_does_not_call_off_a_start_that_was_asked_for(migration):
    """Else both machines would be off, and Ferry gone."""
    migration.steps.fail("start_target", "xapi.unreachable", times=3)
    await migration.start(approval="auto")
    await migration.until(lambda status: "start_target!" in migration.steps.said)

    report = await _cancelled(migration)

    assert report.outcome == "cancelled"
    said = migration.steps.said
    assert said[said.index("start_target") :] == ["start_target", *LEAVE]
    assert migration.steps.power.value == "off"


async def test_a_rollback_is_heard_while_the_start_is_tried_for_ever(migration):
    migration.steps.fail("start_target", "xapi.unreachable", times=1000)
    await migration.start(approval="auto")
    status = await migration.until(lambda status: migration.steps.said.count("start_target!") >= 2)

    await migration.update("rollback", {"who": "ann", "lose_target_writes_since": status.started_at.isoformat()})

    report = await migration.report()
    assert report.outcome == "rolled-back"
    assert migration.steps.power.value == "on"
    assert "stop_target" in migration.steps.said


async def test_a_yes_that_is_taken_back_before_power_off_powers_nothing_off(migration):
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    migration.steps.hold_preflight = True
    await migration.approve()
    await migration.until(lambda status: migration.steps.said.count("preflight") == 2)

    await migration.update("reject", {"who": "bob"})
    migration.steps.hold_preflight = False

    await migration.until_phase(Phase.AWAITING_APPROVAL)
    assert "power_off_source" not in migration.steps.said
    await migration.approve()
    assert (await migration.report()).outcome == "done"


async def test_a_humans_no_outranks_automatic_approval(migration):
    migration.steps.hold_copies = True
    await migration.start(approval="auto", max_passes=1)
    await migration.until(lambda status: "copy_disk" in migration.steps.said)
    await migration.update("reject", {"who": "bob"})
    migration.steps.hold_copies = False
    await migration.until(lambda status: len(status.passes) >= 3)

    assert "power_off_source" not in migration.steps.said

    await migration.approve()
    assert (await migration.report()).outcome == "done"


async def test_a_yes_waits_for_the_end_of_a_pause(migration):
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.update("pause", {"who": "ann"})
    await migration.approve()
    await asyncio.sleep(0.5)
    assert "power_off_source" not in migration.steps.said

    await migration.update("resume", {"who": "ann"})

    assert (await migration.report()).outcome == "done"


async def test_a_cancel_after_the_start_only_ends_the_watching(migration):
    migration.steps.hold_source_proof = True
    await migration.start(approval="auto")
    await migration.until(lambda status: "prove_source" in migration.steps.said)

    await migration.handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await migration.report()
    assert "stop_target" not in migration.steps.said
    assert "power_on_source" not in migration.steps.said
    assert migration.steps.target_power.value == "on"


async def test_a_rollback_after_the_start_stops_the_target_before_the_source_comes_back(migration):
    migration.steps.hold_source_proof = True
    await migration.start(approval="auto")
    status = await migration.until(lambda status: "prove_source" in migration.steps.said)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await migration.update("rollback", {"who": "ann"})
    assert refused.value.cause.type == "message.needs_confirmation"

    since = status.started_at.isoformat()
    await migration.update("rollback", {"who": "ann", "lose_target_writes_since": since})

    report = await migration.report()
    said = migration.steps.said
    assert report.outcome == "rolled-back"
    assert said[said.index("block_target") :] == [
        "block_target", "raise_target_epoch", "stop_target", "raise_source_epoch",
        "unfence_source", "power_on_source", "undo_overrides", "change_tracking_off", "remove_shell", "release_source",
    ]  # fmt: skip
    assert not migration.steps.both_on_at_once
    power_on = next(order for order in reversed(migration.steps.orders) if type(order).__name__ == "SourceOrder")
    assert power_on.epoch == 2


async def test_a_rollback_that_comes_too_late_is_refused_and_not_passed_over(migration):
    migration.steps.fail("finish_target", "source.stale_epoch", times=1)
    await migration.start(approval="auto")
    status = await migration.until(lambda status: status.needs_human)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await migration.update("rollback", {"who": "ann", "lose_target_writes_since": status.started_at.isoformat()})

    assert refused.value.cause.type == "message.wrong_phase"
    await migration.update("retry", {"who": "ann"})
    assert (await migration.report()).outcome == "done"


async def test_a_source_that_differs_is_told_and_offers_a_rollback(migration):
    migration.steps.source_proof_holds = False
    await migration.start(approval="auto")
    await migration.until(lambda status: status.needs_human == "verify.source_differs")

    await migration.update("retry", {"who": "ann", "note": "we accept it"})

    report = await migration.report()
    assert report.outcome == "done"
    assert report.proof_target_is_source == "differs"


async def test_a_machine_that_is_off_stays_off_through_it_all(migration):
    from contracts.machine import Power

    migration.steps.power = Power.OFF
    await migration.start(approval="auto")

    report = await migration.report()

    assert report.outcome == "done"
    assert "start_target" not in migration.steps.said
    assert "power_on_source" not in migration.steps.said


async def test_a_machine_without_change_tracking_is_copied_once_while_it_is_off(migration):
    migration.steps.warm = False
    await migration.start()
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    assert "freeze" not in migration.steps.said

    await migration.approve()

    report = await migration.report()
    assert report.outcome == "done"
    assert report.passes == 1


async def test_a_new_run_carries_everything_on(migration):
    migration.steps.fail("snapshot_target", "store.damaged")
    await migration.start(delta_interval="0.01s", max_passes=3)
    await migration.until(lambda status: status.runs >= 2, seconds=90)
    status = await migration.status()
    assert len(status.passes) >= 50
    assert status.approval_ticket

    await migration.approve()

    with pytest.raises(WorkflowFailureError):
        await migration.report()
    report = await migration.handle.query("report", result_type=Report)
    assert report.migration == status.migration
    assert report.passes > 50
    said = migration.steps.said
    assert said.count("make_shell") == 1
    assert said[-3:] == ["change_tracking_off", "remove_shell", "release_source"]  # the way back of the first run


async def test_history_stays_small(migration):
    await migration.start(approval="auto")
    report = await migration.report()

    events = [event async for event in migration.handle.fetch_history_events()]

    assert len(events) - 40 * report.passes <= 160, len(events)


async def test_the_status_says_when_the_next_pass_comes(migration):
    await migration.start(delta_interval="1h")

    status = await migration.until(lambda status: status.next_pass_at is not None)

    assert status.phase is Phase.AWAITING_APPROVAL
