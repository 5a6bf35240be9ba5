"""Smoke tests after the start, in the order of things: what failed asks a human, and goes back only by their word."""

import pytest
from temporalio.client import WorkflowUpdateFailedError

from contracts.names import Phase
from tests.workflows.one_workflow import LEAVE, Migration

ASKED = {"approval": "auto", "smoke": {"ports": [22], "within": "1s"}}


async def test_what_nobody_asked_for_is_looked_at_once_and_only_told(migration: Migration):
    migration.steps.missing.append("the VM does not run: it is off")
    await migration.start(approval="auto")

    report = await migration.report()

    assert report.outcome == "done"
    assert [(each.when, each.missing) for each in report.smoke_tests] == [
        ("at the end", ("the VM does not run: it is off",))
    ]


async def test_a_pool_that_fails_at_the_last_look_keeps_nothing_from_its_end(migration: Migration):
    migration.steps.fail("smoke_target", "xapi.failure")
    await migration.start(approval="auto")

    assert (await migration.report()).outcome == "done"


async def test_the_test_that_was_asked_for_comes_right_after_the_start(migration: Migration):
    await migration.start(**ASKED)

    report = await migration.report()

    said = migration.steps.said
    assert said[said.index("start_target") + 1 :] == ["smoke_target", "prove_source", *LEAVE[1:]]
    assert migration.steps.ordered["smoke_target"].ports == (22,)
    assert [each.passed for each in report.smoke_tests] == [True]


async def test_a_failed_test_asks_a_human_and_retry_makes_it_again(migration: Migration):
    migration.steps.missing.append("port 22 is not open at 10.0.0.2")
    await migration.start(**ASKED)
    status = await migration.until(lambda status: status.needs_human == "smoke.failed")
    assert "port 22 is not open" in status.message
    assert "power_on_source" not in migration.steps.said, "nothing goes back by itself (SAFETY 17)"

    await migration.update("retry", {"who": "ann"})

    report = await migration.report()
    assert report.outcome == "done"
    assert [each.passed for each in report.smoke_tests] == [False, True]


async def test_a_failed_test_is_taken_as_it_is_by_somebody_with_a_name(migration: Migration):
    migration.steps.missing.append("port 22 is not open at 10.0.0.2")
    await migration.start(**ASKED)
    await migration.until(lambda status: status.needs_human == "smoke.failed")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await migration.update("retry", {"accept": True})
    assert refused.value.cause.type == "request.invalid"

    await migration.update("retry", {"accept": True, "who": "ann", "note": "its firewall"})

    report = await migration.report()
    assert report.outcome == "done"
    [test] = report.smoke_tests
    assert (test.passed, test.accepted_by) == (False, "ann")
    assert [(each.decision, each.who) for each in report.decisions[-1:]] == [("accepted smoke.failed", "ann")]


async def test_what_is_no_matter_of_taste_is_not_accepted(migration: Migration):
    migration.steps.fail("start_target", "xapi.cannot_start")
    await migration.start(approval="auto")
    await migration.until(lambda status: status.needs_human == "xapi.cannot_start")

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await migration.update("retry", {"accept": True, "who": "ann"})

    assert refused.value.cause.type == "request.invalid"


async def test_a_failed_test_can_be_answered_by_a_rollback(migration: Migration):
    migration.steps.missing.append("port 22 is not open at 10.0.0.2")
    await migration.start(**ASKED)
    status = await migration.until(lambda status: status.needs_human == "smoke.failed")
    assert status.phase is Phase.START
    assert status.started_at is not None

    since = status.started_at.isoformat()
    await migration.update("rollback", {"who": "ann", "lose_target_writes_since": since})

    assert (await migration.report()).outcome == "rolled-back"
    said = migration.steps.said
    assert said.index("stop_target") < said.index("power_on_source")
    assert not migration.steps.both_on_at_once


async def test_after_the_reboot_that_guest_tools_ask_for_it_is_tested_again(migration: Migration):
    await migration.start(approval="auto", smoke={"reboot": True})

    report = await migration.report()

    said = migration.steps.said
    assert said[said.index("start_target") + 1 :][:3] == ["smoke_target", "reboot_target", "smoke_target"]
    first, second = report.smoke_tests
    assert (first.when, second.when) == ("after the start", "after the reboot")
    assert migration.steps.ordered["smoke_target"].booted_since == first.vitals.booted_at


async def test_a_guest_that_cannot_be_asked_to_reboot_asks_a_human_who_may_do_without(migration: Migration):
    migration.steps.fail("reboot_target", "smoke.no_reboot", times=2)
    await migration.start(approval="auto", smoke={"reboot": True})
    await migration.until(lambda status: status.needs_human == "smoke.no_reboot")
    await migration.update("retry", {"who": "ann"})
    await migration.until(lambda status: migration.steps.said.count("reboot_target!") == 2 and bool(status.needs_human))

    await migration.update("retry", {"who": "ann", "accept": True})

    assert [each.when for each in (await migration.report()).smoke_tests] == ["after the start"]
