"""Workers of two builds at once: a migration stays with its build, a new one gets the new one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import Worker

from contracts.names import DEPLOYMENT, MIGRATE_FLEET, QUEUE, TRANSFER_QUEUE, Phase
from starter.temporal_server import DevServer
from tests.support import register_search_attributes
from tests.workflows.one_workflow import Migration
from tests.workflows.scripted_steps import ScriptedSteps
from worker import deployment
from workflows.migrate_vm import MigrateVm
from workflows.versioned import VersionedFleet


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A server of its own: what is current is so for all of a namespace."""
    with DevServer(tmp_path / "temporal") as server:
        await register_search_attributes(server.address)
        yield await Client.connect(server.address, data_converter=pydantic_data_converter)


RPC = timedelta(seconds=10)


class Build(Migration):
    """A build: its workers, and the steps that they carry out."""

    def __init__(self, client: Client, build_id: str) -> None:
        super().__init__(client, ScriptedSteps())
        self.build_id = build_id
        self._workers = contextlib.AsyncExitStack()

    async def begin(self) -> "Build":
        common: dict[str, Any] = {
            "activities": self.steps.all(), "deployment_config": deployment(self.build_id),
            "max_heartbeat_throttle_interval": timedelta(seconds=0.2),
        }  # fmt: skip
        for queue, workflows in ((QUEUE, [MigrateVm, VersionedFleet]), (TRANSFER_QUEUE, [])):
            await self._workers.enter_async_context(
                Worker(self.client, task_queue=queue, workflows=workflows, **common)
            )
        return self

    async def end(self) -> None:
        await self._workers.aclose()
        self._workers = contextlib.AsyncExitStack()

    async def make_current(self) -> None:
        """`temporal worker deployment set-current-version`, once the server has heard of it."""
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace="default", deployment_name=DEPLOYMENT, build_id=self.build_id, identity="test",
        )  # fmt: skip
        for _ in range(100):
            with contextlib.suppress(RPCError):
                await self.client.workflow_service.set_worker_deployment_current_version(request, timeout=RPC)
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"{self.build_id} never became current")


@pytest.mark.timeout(300)
async def test_a_migration_stays_with_its_build_and_a_new_one_gets_the_new_build(client: Client) -> None:
    old, new = await Build(client, "1.0").begin(), Build(client, "1.1")
    await old.make_current()
    await old.start(delta_interval="1h")
    await old.until_phase(Phase.AWAITING_APPROVAL)
    await new.begin()
    await new.make_current()
    await new.start(delta_interval="1h")
    await new.until_phase(Phase.AWAITING_APPROVAL)
    assert "make_shell" in new.steps.said
    before = len(new.steps.said)

    await old.end()  # the old build's worker dies, and comes back: its migration waits for it
    await old.begin()
    await old.approve()
    report = await old.report()

    assert report.outcome == "done"
    assert "start_target" in old.steps.said
    assert len(new.steps.said) == before
    await new.approve()
    assert (await new.report()).outcome == "done"
    await asyncio.gather(old.end(), new.end())


@pytest.mark.timeout(300)
async def test_a_fleet_moves_to_the_new_build_and_so_do_the_members_that_it_begins(client: Client) -> None:
    old, new = await Build(client, "1.0").begin(), Build(client, "1.1")
    await old.make_current()
    said = {
        "fleet": "f", "defaults": {"source": "vc", "target": "pool", "delta_interval": "1h"}, "at_once": 1,
        "waves": [{"name": "1", "approval": "auto"}, {"name": "2"}],
        "members": [{"vm": "a"}, {"vm": "b", "wave": "2"}],
    }  # fmt: skip
    old.steps.hold_copies = True
    fleet = await client.start_workflow(MIGRATE_FLEET, said, id="fleet/f", task_queue=QUEUE)
    while "freeze" not in old.steps.said:
        await asyncio.sleep(0.1)
    await new.begin()
    await new.make_current()

    old.steps.hold_copies = False

    while "make_shell" not in new.steps.said:
        await asyncio.sleep(0.1)
    status = await fleet.query("status")
    assert status["standing"] == {"running": 1, "done": 1} or status["standing"] == {"running": 2}
    assert old.steps.said.count("make_shell") == 1
    await asyncio.gather(old.end(), new.end())
