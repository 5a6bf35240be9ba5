"""Probation over simulated weeks, with workers that come and go: a time-skipping server, and steps on paper."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from contracts.names import QUEUE, TRANSFER_QUEUE, Phase
from contracts.told import Report, Status
from tests.time_skipping import time_skipping
from tests.workflows.one_workflow import LEAVE, Migration
from tests.workflows.scripted_steps import ScriptedSteps
from workflows.migrate_vm import MigrateVm

FORTNIGHT = {"approval": "auto", "probation": "14d"}


@asynccontextmanager
async def working(environment: WorkflowEnvironment, steps: ScriptedSteps) -> AsyncIterator[None]:
    """A worker, from now until the end of the block. It remembers nothing: every task replays the whole history.

    (Nor would the next one be asked by this server, which goes on asking the one that is gone.)
    """
    light = Worker(
        environment.client, task_queue=QUEUE, workflows=[MigrateVm], activities=steps.all(), max_cached_workflows=0
    )
    bytes_mover = Worker(environment.client, task_queue=TRANSFER_QUEUE, activities=steps.all())
    async with light, bytes_mover:
        yield


@pytest.fixture
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping() as made:
        yield made


@pytest.fixture
def migration(environment: WorkflowEnvironment) -> Migration:
    return Migration(environment.client, ScriptedSteps())


async def until_day(environment: WorkflowEnvironment, migration: Migration, day: float) -> Status:
    """Skip to that day of the probation."""
    status = await migration.status()
    while status.probation_ends_at is None:
        await environment.sleep(1)
        status = await migration.status()
    begun = status.probation_ends_at - timedelta(days=14)
    now = await environment.get_current_time()
    await environment.sleep(begun + timedelta(days=day) - now)
    return await migration.status()


async def confirmed_rollback(migration: Migration) -> None:
    status = await migration.status()
    assert status.started_at is not None
    said = {"who": "ann", "lose_target_writes_since": status.started_at.isoformat()}
    await migration.update("rollback", said)


async def ended(migration: Migration) -> Report:
    return await migration.handle.result()


async def test_a_fortnight_has_fourteen_tests_and_ends_with_the_source_renamed(environment, migration):
    async with working(environment, migration.steps):
        await migration.start(**FORTNIGHT)
        report = await ended(migration)

    said = migration.steps.said
    assert said[said.index("prove_source") + 1 :] == ["see_source_off", "smoke_target"] * 14 + [
        "retire_source",
        *LEAVE[1:],
    ]
    assert report.outcome == "done"
    order = migration.steps.ordered["retire_source"]
    closed = (await migration.handle.describe()).close_time
    assert closed is not None
    today = closed.strftime("%Y%m%d")
    assert order.suffix == f"-migrated-{today}"
    assert report.retired_as == f"web01-migrated-{today}"
    assert "shell-1" in order.annotation
    assert "power_on_source" not in said


async def test_weeks_in_which_workers_die_and_come_back_lose_nothing(environment, migration):
    steps = migration.steps
    async with working(environment, steps):
        await migration.start(**FORTNIGHT)
        await until_day(environment, migration, 3.5)
    for day in (6.5, 9.5):
        async with working(environment, steps):  # another one, which knows nothing
            status = await until_day(environment, migration, day)
            assert status.phase is Phase.PROBATION
            assert len(status.smoke_tests) == int(day)
    async with working(environment, steps):
        report = await ended(migration)

    assert report.outcome == "done"
    assert steps.said.count("smoke_target") == 14
    assert steps.said.count("start_target") == 1


async def test_a_test_that_fails_on_day_nine_holds_the_retirement_until_a_human_has_spoken(environment, migration):
    async with working(environment, migration.steps):
        await migration.start(**FORTNIGHT)
        await until_day(environment, migration, 8.5)
        migration.steps.missing.append("the VM does not run: it is off")
        status = await until_day(environment, migration, 30)
        assert (status.phase, status.needs_human) == (Phase.PROBATION, "smoke.failed")
        assert status.message.startswith("in probation: ")
        assert "retire_source" not in migration.steps.said
        assert len(status.smoke_tests) == 9

        await migration.update("retry", {"who": "ann"})
        report = await ended(migration)

    assert [each.passed for each in report.smoke_tests] == [True] * 8 + [False, True]
    assert report.retired_as


async def test_a_rollback_on_day_ten_brings_the_source_back_as_it_was(environment, migration):
    async with working(environment, migration.steps):
        await migration.start(**FORTNIGHT)
        await until_day(environment, migration, 10.5)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await migration.update("rollback", {"who": "ann"})
        assert refused.value.cause.type == "message.needs_confirmation"

        await confirmed_rollback(migration)
        report = await ended(migration)

    said = migration.steps.said
    assert report.outcome == "rolled-back"
    assert said.index("stop_target") < said.index("unfence_source") < said.index("power_on_source")
    assert "release_source" in said[said.index("power_on_source") :]
    assert "retire_source" not in said
    assert not migration.steps.both_on_at_once


async def test_a_rollback_of_a_failed_test_in_probation_is_heard_while_it_waits(environment, migration):
    async with working(environment, migration.steps):
        await migration.start(**FORTNIGHT)
        await until_day(environment, migration, 1.5)
        migration.steps.missing.append("port 22 is not open at 10.0.0.2")
        status = await until_day(environment, migration, 2.5)
        assert status.needs_human == "smoke.failed"

        await confirmed_rollback(migration)

        assert (await ended(migration)).outcome == "rolled-back"


async def test_a_source_that_is_switched_on_meanwhile_asks_a_human(environment, migration):
    async with working(environment, migration.steps):
        await migration.start(**FORTNIGHT)
        await until_day(environment, migration, 3.5)
        migration.steps.fail("see_source_off", "source.runs_again")
        status = await until_day(environment, migration, 5)
        assert (status.phase, status.needs_human) == (Phase.PROBATION, "source.runs_again")

        await migration.update("retry", {"who": "ann"})

        assert (await ended(migration)).outcome == "done"


async def test_nothing_is_renamed_where_nobody_asked_for_it(environment, migration):
    async with working(environment, migration.steps):
        await migration.start(**FORTNIGHT, retire="none")
        assert (await ended(migration)).retired_as == ""

    assert "retire_source" not in migration.steps.said


async def test_a_source_that_cannot_be_renamed_is_a_note_and_no_failure(environment, migration):
    migration.steps.fail("retire_source", "vsphere.no_permission", "the privilege VirtualMachine.Config.Rename")
    async with working(environment, migration.steps):
        await migration.start(approval="auto", retire="rename")
        report = await ended(migration)

    assert report.outcome == "done"
    assert any("VirtualMachine.Config.Rename" in note for note in report.notes)


async def test_who_cancels_in_probation_ends_the_watching_and_retires_nothing(environment, migration):
    async with working(environment, migration.steps):
        await migration.start(**FORTNIGHT)
        await until_day(environment, migration, 2.5)
        await migration.handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await ended(migration)

    assert "retire_source" not in migration.steps.said
    assert migration.steps.said[-3:] == LEAVE[1:]
    assert "stop_target" not in migration.steps.said
