"""A test migration in the order of things: between passes, beside everything, and nothing of it stays."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from contracts.names import Phase
from tests.workflows.one_workflow import PASS, PREPARE, Migration

TEST = ["make_test", "start_test", "smoke_target", "drop_test"]
WAITING = {"delta_interval": "1h"}


async def waiting(migration: Migration) -> list[str]:
    """Until it waits for its approval; answers what was done so far."""
    await migration.start(**WAITING)
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    return list(migration.steps.said)


async def test_what_was_copied_is_booted_between_two_passes_and_thrown_away(migration: Migration):
    before = await waiting(migration)
    assert before == [*PREPARE, *PASS, *PASS]

    await migration.update("test_boot", {"who": "ann", "note": "does it boot?"})
    status = await migration.until(lambda status: bool(status.test_boots))

    assert migration.steps.said[len(before) :] == TEST, "the source is not touched, and no pass is made for it"
    [told] = status.test_boots
    assert (told.who, told.note, told.outcome, told.passes) == ("ann", "does it boot?", "tools-answer", 2)
    assert migration.steps.ordered["make_test"].name == "web01 (ferry test)"
    assert migration.steps.ordered["smoke_target"].vm == "test-vm-1"
    assert (status.phase, status.test_boot) == (Phase.AWAITING_APPROVAL, "")


async def test_passes_wait_while_it_is_watched_and_go_on_afterwards(migration: Migration):
    before = await waiting(migration)
    migration.steps.hold_smoke_test = True
    await migration.update("test_boot", {"who": "ann"})
    status = await migration.until(lambda status: "smoke_target" in migration.steps.said)
    assert status.test_boot == "ann"
    await migration.update("sync_now")
    await asyncio.sleep(0.5)
    assert "freeze" not in migration.steps.said[len(before) :]

    migration.steps.hold_smoke_test = False

    await migration.until(lambda status: len(status.passes) == 3)
    assert migration.steps.said[len(before) :] == [*TEST, *PASS]


@pytest.mark.parametrize("step", ["make_test", "start_test", "smoke_target"])
async def test_a_test_that_fails_is_told_and_neither_parks_nor_fails_the_migration(migration: Migration, step: str):
    before = await waiting(migration)
    migration.steps.fail(step, "xapi.sr_full", "no room for clones")

    await migration.update("test_boot", {"who": "ann"})
    status = await migration.until(lambda status: bool(status.test_boots))

    assert (status.test_boots[0].outcome, status.test_boots[0].message) == (
        "failed",
        "xapi.sr_full: no room for clones",
    )
    assert (status.needs_human, status.phase) == ("", Phase.AWAITING_APPROVAL)
    assert migration.steps.said[len(before) :][-1] == "drop_test"


async def test_a_guest_without_tools_runs_and_more_is_not_claimed(migration: Migration):
    await waiting(migration)
    migration.steps.tools_answer = False
    migration.steps.missing.append("the guest's tools tell nothing")

    await migration.update("test_boot", {"who": "ann"})

    status = await migration.until(lambda status: bool(status.test_boots))
    assert status.test_boots[0].outcome == "runs"


async def test_a_cancel_in_the_middle_takes_the_test_away_before_all_else(migration: Migration):
    before = await waiting(migration)
    migration.steps.hold_smoke_test = True
    await migration.update("test_boot", {"who": "ann"})
    await migration.until(lambda status: "smoke_target" in migration.steps.said)

    await migration.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await migration.report()

    after = migration.steps.said[len(before) + 3 :]
    assert after == ["drop_test", "change_tracking_off", "remove_shell", "release_source"]


async def test_what_cannot_be_taken_away_asks_a_human_until_it_is_gone(migration: Migration):
    await waiting(migration)
    migration.steps.fail("drop_test", "xapi.failure")
    await migration.update("test_boot", {"who": "ann"})
    await migration.until(lambda status: status.needs_human == "xapi.failure")

    await migration.update("retry", {"who": "ann"})

    status = await migration.until(lambda status: bool(status.test_boots))
    assert (status.needs_human, status.test_boots[0].outcome) == ("", "tools-answer")
    assert migration.steps.said[-2:] == ["drop_test!", "drop_test"]


async def test_each_test_has_its_number_and_two_at_once_are_one(migration: Migration):
    await waiting(migration)
    for count in (1, 2):
        await migration.update("test_boot", {"who": "ann"})
        await migration.update("test_boot", {"who": "bob"})
        await migration.until(lambda status, count=count: len(status.test_boots) >= count and not status.test_boot)
        assert migration.steps.ordered["drop_test"].number == migration.steps.said.count("drop_test")


async def test_it_is_refused_before_there_is_anything_to_boot(migration: Migration):
    migration.steps.hold_copies = True
    await migration.start(**WAITING)
    await migration.until_phase(Phase.INITIAL_SYNC)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await migration.update("test_boot", {"who": "ann"})

    assert refused.value.cause.type == "message.wrong_phase"
