"""Permits on a real Temporal server, with real migrations whose steps are on paper: limits hold whatever comes."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.permits import PermitActivities
from contracts.capacity import CapacityConfig, CapacityStatus
from contracts.errors import FerryError
from contracts.names import CAPACITY_ID, MIGRATE_FLEET, MIGRATE_VM, QUEUE, TRANSFER_QUEUE
from contracts.steps import (
    CopyOrder,
    CopyReport,
    PoweredOff,
    PowerOffOrder,
    Preflight,
    PreflightOrder,
    ProofOrder,
    ProofReport,
)
from contracts.told import Status
from tests.workflows.scripted_steps import ScriptedSteps, as_application_error
from tests.workflows.test_fleet import FleetSteps
from workflows import timing
from workflows.capacity import Capacity
from workflows.migrate_fleet import MigrateFleet
from workflows.migrate_vm import MigrateVm

LIMITS = {"sr:pool/fast": 2, "host:vc/esx1": 3}


class Limited(FleetSteps):
    """Steps of machines that need a permit of each. ``most_now``: at once; ``stuck``: whose copies do not end."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = dict(LIMITS)
        self.now: set[str] = set()
        self.most_now = 0
        self.stuck: set[str] = set()
        self.fails_copy: set[str] = set()

    def _one_more(self, vm: str) -> None:
        self.now.add(vm)
        self.most_now = max(self.most_now, len(self.now))

    @activity.defn
    async def preflight(self, order: PreflightOrder) -> Preflight:
        return (await super().preflight(order)).model_copy(update={"limits": self.limits})

    @activity.defn
    async def copy_disk(self, order: CopyOrder) -> CopyReport:
        if order.pass_no > 1:
            return await ScriptedSteps.copy_disk(self, order)
        vm = order.errand.vm
        self._one_more(vm)
        try:
            while vm in self.stuck:
                activity.heartbeat()
                await asyncio.sleep(0.05)
            if vm in self.fails_copy:
                raise as_application_error(FerryError("vsphere.login_refused", "on order"))
            return await super().copy_disk(order)
        finally:
            self.now.discard(vm)

    @activity.defn
    async def power_off_source(self, order: PowerOffOrder) -> PoweredOff:
        self._one_more(order.errand.vm)
        return await super().power_off_source(order)

    @activity.defn
    async def prove_source(self, order: ProofOrder) -> ProofReport:
        self.now.discard(order.errand.vm)
        return await super().prove_source(order)


class Lab:
    """Workers that come and go, and the one table."""

    def __init__(self, client: Client) -> None:
        self.client, self.steps = client, Limited()
        self.capacity = CapacityConfig(sr=2, host=3)
        self.source = f"vc{uuid.uuid4().hex[:8]}"
        self._workers = AsyncExitStack()

    async def begin_workers(self) -> None:
        permits = PermitActivities(self.capacity)
        common: dict[str, Any] = {
            "activities": [*self.steps.all(), permits.ask_for_permits, permits.see_holders],
            "max_heartbeat_throttle_interval": timedelta(seconds=0.2),
            "graceful_shutdown_timeout": timedelta(0),
        }
        for queue, workflows in ((QUEUE, [MigrateFleet, MigrateVm, Capacity]), (TRANSFER_QUEUE, [])):
            await self._workers.enter_async_context(
                Worker(self.client, task_queue=queue, workflows=workflows, **common)
            )

    async def end_workers(self) -> None:
        await self._workers.aclose()
        self._workers = AsyncExitStack()

    async def migrate(self, vm: str, **more: Any) -> WorkflowHandle[Any, Any]:
        said = {"source": self.source, "vm": vm, "target": "pool", "delta_interval": "1h", "approval": "auto", **more}
        return await self.client.start_workflow(
            MIGRATE_VM, said, id=f"migrate/{self.source}/{vm}", task_queue=QUEUE, result_type=dict
        )

    async def fleet(self, name: str, count: int) -> WorkflowHandle[Any, Any]:
        said = {
            "fleet": f"{self.source}{name}",
            "defaults": {"source": self.source, "target": "pool", "delta_interval": "1h"},
            "waves": [{"name": "1", "approval": "auto"}],
            "members": [{"vm": f"{name}{number}"} for number in range(count)],
        }
        return await self.client.start_workflow(
            MIGRATE_FLEET, said, id=f"fleet/{self.source}{name}", task_queue=QUEUE, result_type=dict
        )

    async def told(self) -> CapacityStatus:
        table = self.client.get_workflow_handle(CAPACITY_ID)
        status: CapacityStatus = await table.query("status", result_type=CapacityStatus)
        return status

    async def until(self, wanted: Callable[[CapacityStatus], bool], seconds: float = 30) -> CapacityStatus:
        status = None
        for _ in range(int(seconds / 0.1)):
            try:
                status = await self.told()
            except (RPCError, WorkflowQueryFailedError):  # none yet; or it is that of the test before, and its clock
                status = None
            if status is not None and wanted(status):
                return status
            await asyncio.sleep(0.1)
        raise AssertionError(f"never came: {status}")


@pytest.fixture
async def lab(temporal_client: Client) -> AsyncIterator[Lab]:
    made = Lab(temporal_client)
    await made.begin_workers()
    try:
        yield made
    finally:
        try:
            await temporal_client.get_workflow_handle(CAPACITY_ID).terminate("the test is over")
        except RPCError:
            pass
        await made.end_workers()


async def test_two_fleets_and_a_single_one_share_what_there_is(lab: Lab) -> None:
    fleets = [await lab.fleet("a", 6), await lab.fleet("b", 5)]
    single = await lab.migrate("single")
    await asyncio.sleep(1)
    await lab.end_workers()  # in the midst of it
    lab.steps.now.clear()
    await lab.begin_workers()

    reports = [await asyncio.wait_for(each.result(), 120) for each in (*fleets, single)]

    assert [each["outcome"] for each in reports] == ["done", "done", "done"]
    assert 1 <= lab.steps.most_now <= 2, "the SR has two"
    told = await lab.until(lambda status: not status.holders and not status.waiters)
    assert told.resources == {}


async def test_who_is_terminated_holds_nothing_and_who_is_parked_neither(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "SEE_HOLDERS", timedelta(seconds=2))
    lab.steps.limits = {"sr:pool/fast": 1}
    lab.capacity.named["sr:pool/fast"] = 1
    lab.steps.stuck.add("first")
    lab.steps.fails_copy.add("second")
    first = await lab.migrate("first")
    await lab.until(lambda status: [each.holder for each in status.holding] == [first.id])
    second, third = await lab.migrate("second"), await lab.migrate("third")
    waits = await lab.until(lambda status: status.waiters == 2)
    assert {each.why for each in waits.waiting} == {"full: sr:pool/fast (1 of 1)"}
    seen: Status = await third.query("status", result_type=Status)
    assert "waits for permits: sr:pool/fast" in seen.next_step

    await first.terminate("somebody ended it")

    lab.steps.stuck.clear()
    report = await asyncio.wait_for(third.result(), 60)
    assert report["outcome"] == "done"
    status: Status = await second.query("status", result_type=Status)
    assert status.needs_human == "vsphere.login_refused"
    await lab.until(lambda status: not status.holders and not status.waiters)

    lab.steps.fails_copy.clear()
    await second.execute_update("retry", {"who": "ann"})
    assert (await asyncio.wait_for(second.result(), 60))["outcome"] == "done"


async def test_a_table_that_is_lost_is_made_anew_by_those_that_wait(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "ASK_AGAIN", timedelta(seconds=8))
    monkeypatch.setattr(timing, "SAY_AGAIN", timedelta(seconds=1))
    lab.steps.limits = {"sr:pool/fast": 1}
    lab.capacity.named["sr:pool/fast"] = 1
    lab.steps.stuck.add("first")
    first = await lab.migrate("first")
    await lab.until(lambda status: status.holders == 1)
    second = await lab.migrate("second")
    await lab.until(lambda status: status.waiters == 1)
    await lab.client.get_workflow_handle(CAPACITY_ID).terminate("lost")

    told = await lab.until(lambda status: status.holders == 1 and status.waiters == 1)
    assert told.holding[0].holder == first.id, "it says now and then that it works"
    lab.steps.stuck.clear()
    assert (await asyncio.wait_for(second.result(), 60))["outcome"] == "done"
    assert lab.steps.most_now == 1


async def test_limits_are_those_of_now(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "ASK_AGAIN", timedelta(seconds=1))
    lab.steps.limits = {"sr:pool/fast": 1}
    lab.capacity.named["sr:pool/fast"] = 0
    only = await lab.migrate("only")
    await lab.until(lambda status: status.waiters == 1)

    lab.capacity.named["sr:pool/fast"] = 1  # and the worker begun anew, elsewhere

    assert (await asyncio.wait_for(only.result(), 60))["outcome"] == "done"


async def test_a_new_run_of_the_table_knows_all_of_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "EVENTS_PER_RUN", 60)
    lab.steps.limits = {"sr:pool/fast": 1}
    lab.capacity.named["sr:pool/fast"] = 1
    fleet = await lab.fleet("a", 8)

    report = await asyncio.wait_for(fleet.result(), 120)

    assert report["outcome"] == "done"
    assert lab.steps.most_now == 1
    now = await lab.client.get_workflow_handle(CAPACITY_ID).describe()
    assert now.raw_description.workflow_execution_info.first_run_id != now.run_id
