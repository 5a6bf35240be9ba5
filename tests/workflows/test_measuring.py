"""Rates for a rehearsal, from migrations that have ended."""

import asyncio
import contextlib
import uuid

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from contracts.errors import FerryError
from contracts.migration import PassSummary
from contracts.names import QUEUE, TRANSFER_QUEUE
from contracts.steps import CopyOrder, CopyReport
from starter.planning.measuring import measure, measured_of
from tests.workflows.one_workflow import Migration
from tests.workflows.scripted_steps import DISK, ScriptedSteps
from workflows.migrate_vm import MigrateVm

MIB = 1 << 20


class LargeSteps(ScriptedSteps):
    """A first pass of 1 GiB in two seconds, on paper; the others send nothing."""

    @activity.defn
    async def copy_disk(self, order: CopyOrder) -> CopyReport:
        first = order.pass_no == 1
        await asyncio.sleep(2 * first)
        return CopyReport(disk_id=DISK, pass_no=order.pass_no, complete=True, kind="initial" if first else "delta",
                          bytes_planned=1024 * MIB * first, bytes_sent=1024 * MIB * first)  # fmt: skip


async def test_the_rate_is_that_of_migrations_between_the_same_two(temporal_client: Client) -> None:
    steps, source = LargeSteps(), f"vc-{uuid.uuid4().hex[:8]}"
    common = {"activities": steps.all()}
    workflows = Worker(temporal_client, task_queue=QUEUE, workflows=[MigrateVm], **common)  # type: ignore[arg-type]
    async with workflows, Worker(temporal_client, task_queue=TRANSFER_QUEUE, **common):  # type: ignore[arg-type]
        migration = await Migration(temporal_client, steps).start(source=source, approval="auto")
        assert (await migration.report()).outcome == "done"
        found = None
        while found is None:  # visibility comes a moment later
            with contextlib.suppress(FerryError):
                found = await measure(temporal_client, source, "pool")
            await asyncio.sleep(0.2)
    assert found.migrations == 1
    assert found.beside is not None
    assert 512 * MIB * 0.7 < found.alone < 520 * MIB, "1 GiB in two seconds, and what a pass costs beside its bytes"
    with pytest.raises(FerryError) as nothing:
        await measure(temporal_client, "o'neill\\", "pool")
    assert nothing.value.code == "plan.not_measured"


def test_what_is_measured_is_the_median_without_what_a_pass_costs_beside_its_bytes() -> None:
    def moved(size: int, seconds: float, *deltas: float, complete: bool = True) -> tuple[PassSummary, ...]:
        first = PassSummary(pass_no=1, kind="initial", bytes_sent=size * MIB, seconds=seconds, complete=complete)
        return (first, *(PassSummary(pass_no=2, kind="delta", bytes_sent=0, seconds=each) for each in deltas))

    found = measured_of([moved(1000, 30, 20), moved(1000, 70, 20, 20), moved(9000, 65, 20), moved(1, 20, 20), ()])
    assert found is not None
    assert (found.alone, found.beside, found.migrations) == (100 * MIB, 20, 3)
    assert measured_of([moved(1, 20, 20), moved(9000, 60, complete=False)]) is None
    alone = measured_of([moved(1000, 10)])
    assert alone is not None
    assert (alone.alone, alone.beside) == (100 * MIB, None)
