"""A migration whose workflow is real and whose steps are not."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from contracts.names import QUEUE, TRANSFER_QUEUE
from tests.workflows.one_workflow import Migration
from tests.workflows.scripted_steps import ScriptedSteps
from workflows.migrate_vm import MigrateVm


@pytest.fixture
def cached_workflows() -> int:
    return 100


@pytest.fixture
async def migration(temporal_client: Client, cached_workflows: int) -> AsyncIterator[Migration]:
    steps = ScriptedSteps()
    workflows = Worker(
        temporal_client,
        task_queue=QUEUE,
        workflows=[MigrateVm],
        activities=steps.all(),
        max_cached_workflows=cached_workflows,
        max_heartbeat_throttle_interval=timedelta(seconds=0.2),
    )
    bytes_mover = Worker(
        temporal_client,
        task_queue=TRANSFER_QUEUE,
        activities=steps.all(),
        max_heartbeat_throttle_interval=timedelta(seconds=0.2),
    )
    made = Migration(temporal_client, steps)
    async with workflows, bytes_mover:
        yield made
        steps.hold_copies = steps.hold_source_proof = steps.hold_preflight = steps.hold_target_proof = False
        steps.hold_power_off = steps.dies_when_cut = False
        if hasattr(made, "handle"):
            description = await made.handle.describe()
            if description.close_time is None:
                await made.handle.terminate()
