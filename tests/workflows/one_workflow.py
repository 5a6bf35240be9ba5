"""One run of the workflow on a real Temporal server, with steps that exist on paper."""

import asyncio
import time
import uuid
from typing import Any

from temporalio.client import Client, WorkflowHandle

from contracts.names import MIGRATE_VM, QUEUE, Phase
from contracts.told import Report, Status
from tests.workflows.scripted_steps import ScriptedSteps

PREPARE = ["preflight", "claim_source", "make_shell", "change_tracking_on"]
PASS = ["freeze", "copy_disk", "seal"]
CUTOVER = [
    "preflight", "raise_source_epoch", "override_source", "power_off_source", "fence_source", *PASS, "snapshot_target",
    "prove_target", "preflight", "diverge_target",
]  # fmt: skip
START = ["unblock_target", "start_target"]
LEAVE = ["smoke_target", "change_tracking_off", "finish_target", "release_source"]
REQUEST = {"source": "vc", "vm": "web01", "target": "pool", "delta_interval": "1s"}


class Migration:
    """One run of the workflow and the steps that it takes."""

    def __init__(self, client: Client, steps: ScriptedSteps) -> None:
        self.client, self.steps = client, steps
        self.handle: WorkflowHandle[Any, Any]

    async def start(self, **request: Any) -> "Migration":
        self.handle = await self.client.start_workflow(
            MIGRATE_VM, {**REQUEST, **request}, id=f"migrate/vc/{uuid.uuid4()}", task_queue=QUEUE, result_type=Report
        )
        return self

    async def status(self) -> Status:
        return await self.handle.query("status", result_type=Status)

    async def until(self, wanted: Any, seconds: float = 60) -> Status:
        """Wait until the status (or the steps) are as wanted."""
        ends = time.monotonic() + seconds
        while True:
            status = await self.status()
            if wanted(status):
                return status
            if time.monotonic() > ends:
                raise AssertionError(f"never came: {status}\n{self.steps.said}")
            await asyncio.sleep(0.05)

    async def until_phase(self, phase: Phase) -> Status:
        return await self.until(lambda status: status.phase is phase)

    async def approve(self) -> None:
        status = await self.status()
        await self.update("approve", {"approval_ticket": status.approval_ticket, "who": "ann"})

    async def update(self, name: str, said: dict[str, Any] | None = None) -> Any:
        return await self.handle.execute_update(name, args=[] if said is None else [said])

    async def report(self) -> Report:
        return await asyncio.wait_for(self.handle.result(), 30)
