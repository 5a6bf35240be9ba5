"""``RetireVm``: in which order a source is renamed or removed, and whose record removes nothing."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker

from contracts.names import QUEUE, RETIRE_VM
from contracts.retirement import RetireReport
from contracts.steps import Errand
from contracts.told import DiskReport, Report
from tests.workflows.scripted_steps import DISK, ScriptedSteps
from workflows.retire_vm import RetireVm

ERRAND = Errand(
    migration="m-1", workflow="migrate/vc/web01", source="vc", target="pool", vm="web01", machine_id="5000-uuid"
)
DONE = Report(
    outcome="done", vm="web01", migration="m-1", errand=ERRAND, target_vm="shell-1", retired_as="web01-migrated-1",
    disks=(DiskReport(disk_id=DISK, slot="scsi0:0", capacity=1 << 30, vdi="vdi-1"),),
)  # fmt: skip


class Retirement:
    def __init__(self, client: Client, steps: ScriptedSteps) -> None:
        self.client, self.steps = client, steps

    async def of(self, report: Report = DONE, **more: Any) -> RetireReport:
        return await self.client.execute_workflow(
            RETIRE_VM, {"report": report.model_dump(mode="json"), "who": "ann", **more}, id=f"retire/{uuid.uuid4()}",
            task_queue=QUEUE, result_type=RetireReport,
        )  # fmt: skip

    async def refused(self, report: Report = DONE, **more: Any) -> str:
        with pytest.raises(WorkflowFailureError) as failed:
            await self.of(report, **more)
        return str(failed.value.cause.type)


@pytest.fixture
async def retirement(temporal_client: Client) -> AsyncIterator[Retirement]:
    steps = ScriptedSteps()
    async with Worker(temporal_client, task_queue=QUEUE, workflows=[RetireVm], activities=steps.all()):
        yield Retirement(temporal_client, steps)


async def test_a_source_is_renamed_while_it_is_ours(retirement):
    report = await retirement.of()

    assert retirement.steps.said == ["claim_source", "retire_source", "release_source"]
    assert (report.outcome, report.who) == ("renamed", "ann")


async def test_a_source_is_removed_by_its_name_typed_again(retirement):
    retirement.steps.fail("release_source", "vm.gone")

    report = await retirement.of(remove=True, confirm="web01-migrated-1", note="freed")

    assert retirement.steps.said == ["claim_source", "remove_source", "release_source!"]
    order = retirement.steps.ordered["remove_source"]
    assert (order.confirmed, order.disk_ids, order.target_vm) == ("web01-migrated-1", (DISK,), "shell-1")
    assert (report.outcome, report.note) == ("removed", "freed")


async def test_what_is_refused_is_left_as_it_was_and_no_longer_ours(retirement):
    retirement.steps.fail("remove_source", "retire.refused", "it has snapshots")

    assert await retirement.refused(remove=True, confirm="web01") == "retire.refused"

    assert retirement.steps.said == ["claim_source", "remove_source!", "release_source"]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"outcome": "rolled-back"}, {"remove": True, "confirm": "web01"}),
        ({"outcome": "test-copy"}, {"remove": True, "confirm": "web01"}),
        ({"outcome": "failed"}, {}),
        ({"target_vm": ""}, {"remove": True, "confirm": "web01"}),
        ({"disks": ()}, {"remove": True, "confirm": "web01"}),
        ({}, {"remove": True}),
    ],
)
async def test_without_a_whole_record_and_a_typed_name_nothing_is_touched(retirement, record, said):
    assert await retirement.refused(DONE.model_copy(update=record), **said) == "retire.refused"

    assert retirement.steps.said == []
