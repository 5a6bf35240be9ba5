"""A guest that was asked to shut down, and does so when its time is over."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError

from contracts.machine import Power
from contracts.names import Phase


async def asked_in_vain(migration, **request):
    migration.steps.fail("power_off_source", "source.shutdown_timeout")
    await migration.start(delta_interval="1h", **request)
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()
    await migration.until(
        lambda status: status.needs_human == "source.shutdown_timeout" and "source_goes_off" in migration.steps.said
    )
    assert migration.steps.power is Power.ON


async def test_a_guest_that_shuts_down_late_is_taken_at_its_word(migration):
    await asked_in_vain(migration)

    migration.steps.power = Power.OFF  # late, or by hand from inside, as the human was told

    report = await migration.report()
    assert report.outcome == "done"
    assert [each.decision for each in report.decisions] == ["approved"], "nobody had to say it again"
    assert not migration.steps.both_on_at_once


async def test_a_guest_that_shuts_down_when_the_yes_has_expired_is_powered_on_again(migration):
    await asked_in_vain(migration, approval_expires="3s")
    await asyncio.sleep(3)

    migration.steps.power = Power.OFF

    status = await migration.until_phase(Phase.AWAITING_APPROVAL)
    assert migration.steps.power is Power.ON
    assert [each.decision for each in status.decisions] == ["approved", "expired"]
    assert (status.approved_by, status.needs_human) == ("", "")


async def test_a_retry_means_that_the_guest_shall_run_on(migration):
    await asked_in_vain(migration)

    await migration.update("retry", {"who": "ann"})

    status = await migration.until_phase(Phase.AWAITING_APPROVAL)
    assert (status.approved_by, migration.steps.power) == ("", Power.ON)
    await migration.approve()
    assert (await migration.report()).outcome == "done"


async def test_a_cancel_brings_back_the_guest_that_went_off_in_the_same_moment(migration):
    await asked_in_vain(migration)
    migration.steps.misses_the_power = True

    migration.steps.power = Power.OFF
    await migration.handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await migration.report()
    assert migration.steps.power is Power.ON


async def test_a_watch_that_breaks_is_told_and_kept_again_once_it_is_mended(migration):
    migration.steps.fail("source_goes_off", "vsphere.login_refused")
    migration.steps.fail("power_off_source", "source.shutdown_timeout")
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()
    await migration.until(lambda status: status.needs_human == "vsphere.login_refused")

    await migration.update("retry", {"who": "ann"})
    await migration.until(
        lambda status: status.needs_human == "source.shutdown_timeout" and "source_goes_off" in migration.steps.said
    )
    migration.steps.power = Power.OFF

    report = await migration.report()
    assert report.outcome == "done"
    assert [each.decision for each in report.decisions] == ["approved"]


async def test_a_source_that_can_no_longer_be_watched_ends_it_with_the_code_and_running(migration):
    migration.steps.fail("source_goes_off", "vm.gone")
    migration.steps.fail("power_off_source", "source.shutdown_timeout")
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()

    with pytest.raises(WorkflowFailureError) as failed:
        await migration.report()
    assert getattr(failed.value.cause, "type", "") == "vm.gone"
    assert migration.steps.power is Power.ON


@pytest.mark.parametrize("code", ["source.power_off_timeout", "vsphere.question_pending"])
async def test_whatever_stops_the_power_off_half_way_the_source_is_watched(migration, code):
    migration.steps.fail("power_off_source", code)
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.approve()
    await migration.until(lambda status: status.needs_human == code and "source_goes_off" in migration.steps.said)

    migration.steps.power = Power.OFF

    report = await migration.report()
    assert report.outcome == "done"
    assert [each.decision for each in report.decisions] == ["approved"]
    assert not migration.steps.both_on_at_once


async def test_the_ladder_is_told_its_deadlines(migration):
    await migration.start(
        approval="auto", power_off="guest-then-hard", power_off_patience="7m", power_off_deadline="30s"
    )

    await migration.report()

    told = migration.steps.ordered["power_off_source"]
    assert (told.policy, told.patience, told.deadline) == (
        "guest-then-hard", timedelta(minutes=7), timedelta(seconds=30),
    )  # fmt: skip
