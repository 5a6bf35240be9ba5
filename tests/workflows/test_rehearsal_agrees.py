"""A fleet that is rehearsed, and the same fleet as real workflows on a clock that jumps: they must agree."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.permits import PermitActivities
from contracts.capacity import Ask, CapacityConfig
from contracts.errors import FerryError
from contracts.fleet import FleetReport, MigrateFleetRequest
from contracts.machine import Power
from contracts.names import ASKED, CAPACITY_ID, MIGRATE_FLEET, QUEUE, TRANSFER_QUEUE
from contracts.steps import (
    CopyOrder,
    CopyReport,
    PoweredOff,
    PowerOffOrder,
    Preflight,
    PreflightOrder,
    ProofOrder,
    ProofReport,
    ShellRef,
)
from cutovers.prediction import SHUTDOWN, START
from fleets.rehearsal.calendar import Rehearsed
from fleets.rehearsal.given import Given, Holds, Rates
from fleets.rehearsal.loop import rehearse
from tests.time_skipping import time_skipping
from tests.workflows.scripted_steps import DISK, ScriptedSteps, as_application_error
from workflows import timing
from workflows.capacity import Capacity
from workflows.migrate_fleet import MigrateFleet
from workflows.migrate_vm import MigrateVm

pytestmark = pytest.mark.timeout(600)
ALONE = 10 << 20
BESIDE = 60.0
GIB = 1 << 30
NEAR = timedelta(minutes=10)
"""A wave ends that near to what was foreseen; it lasts hours."""
BAD = "vm07"


def sizes() -> Iterator[tuple[str, int]]:
    """20 machines, of 20 to 115 GiB: at 10 MiB a second, half an hour to three hours each."""
    for number in range(20):
        yield f"vm{number:02}", (20 + 5 * number) * GIB


LIMITS = {"link:vc/pool": 4, "host:vc/b": 1}
"""Of the link there are fewer permits than turns would take together; of one host there is one."""


def needs(vm: str) -> tuple[str, ...]:
    """Every fourth machine is on the narrow host."""
    return ("link:vc/pool", f"host:vc/{'b' if int(vm[2:]) % 4 == 0 else 'a'}")


class TimedSteps(ScriptedSteps):
    """Steps that take the simulated time that they would; of many machines."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        super().__init__()
        self.environment = environment
        self.allocated_of = dict(sizes())
        self.off: dict[str, datetime] = {}
        self.on: dict[str, datetime] = {}

    def takes(self, seconds: float) -> None:
        """The first attempt fails, and the next is made when that time is over: the clock stands while a step runs."""
        if activity.info().attempt == 1:
            delay = timedelta(seconds=seconds)
            raise ApplicationError("not yet", type="xapi.unreachable", next_retry_delay=delay)

    @activity.defn
    async def preflight(self, order: PreflightOrder) -> Preflight:
        vm = order.errand.vm
        if vm == BAD:
            raise as_application_error(FerryError("vm.unknown", vm))
        answer = await super().preflight(order)
        power = Power.OFF if vm in self.off else Power.ON
        machine = answer.machine.model_copy(update={"name": vm, "machine_id": vm, "power": power})
        limits = CapacityConfig(named=LIMITS).limits_of(needs(vm))
        return answer.model_copy(update={"machine": machine, "limits": limits})

    @activity.defn
    async def copy_disk(self, order: CopyOrder) -> CopyReport:
        first, allocated = order.pass_no == 1, self.allocated_of[order.errand.vm]
        self.takes(BESIDE + (allocated / ALONE if first else 0))
        return CopyReport(
            disk_id=DISK, pass_no=order.pass_no, complete=True, kind="initial" if first else "delta",
            bytes_planned=allocated if first else 0, bytes_sent=allocated if first else 0,
        )  # fmt: skip

    @activity.defn
    async def power_off_source(self, order: PowerOffOrder) -> PoweredOff:
        at = await self.environment.get_current_time()
        self.off.setdefault(order.errand.vm, at)
        self.takes(SHUTDOWN)
        return PoweredOff(at=await self.environment.get_current_time(), how="guest")

    @activity.defn
    async def start_target(self, order: ShellRef) -> None:
        self.takes(START)
        await super().start_target(order)

    @activity.defn
    async def prove_target(self, order: ProofOrder) -> ProofReport:
        if order.part in ("whole", "since"):
            self.takes(self.allocated_of[order.errand.vm] / ALONE)
        return await super().prove_target(order)

    @activity.defn
    async def prove_source(self, order: ProofOrder) -> ProofReport:
        self.takes(self.allocated_of[order.errand.vm] / ALONE)
        return await super().prove_source(order)

    @activity.defn
    async def finish_target(self, order: ShellRef) -> None:
        self.on[order.errand.vm] = await self.environment.get_current_time()
        await super().finish_target(order)


class Permits(PermitActivities):
    """The test server does not know ``USE_EXISTING`` where two begin the table at once."""

    @activity.defn
    async def ask_for_permits(self, ask: Ask) -> None:
        with contextlib.suppress(WorkflowAlreadyStartedError):
            return await super().ask_for_permits(ask)
        await activity.client().get_workflow_handle(CAPACITY_ID).signal(ASKED, ask)


def request() -> dict[str, Any]:
    """Three waves, one of them with a window, one that comes after another machine, one that fails."""
    waves: list[dict[str, Any]] = [{"name": f"w{number}", "approval": "auto"} for number in range(3)]
    waves[1]["windows"] = ["daily 20:00-04:00 UTC"]
    names = [name for name, _ in sizes()]
    members: list[dict[str, Any]] = [{"vm": vm, "wave": f"w{at // 7}"} for at, vm in enumerate(names)]
    members[5]["after"] = ["vm03"]
    defaults = {"source": "vc", "target": "pool", "delta_interval": "6h", "downtime_budget": "9h"}
    return {"fleet": "f", "defaults": defaults, "waves": waves, "members": members, "at_once": 3}


def foreseen(starts: datetime) -> Rehearsed:
    holds = {vm: Holds(size, needs=needs(vm)) for vm, size in sizes()}
    rates = Rates(alone=ALONE, together=1e15, changes=0.0, preparing=0.0, beside=BESIDE)
    asked = MigrateFleetRequest.model_validate(request())
    return rehearse(Given(asked, holds, rates, starts, fails={BAD: "it is not there"}, limits=LIMITS))


async def test_what_was_rehearsed_is_what_then_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASK_AGAIN", "SAY_AGAIN", "SEE_HOLDERS"):  # what repeats in case something was lost: here only slow
        monkeypatch.setattr(timing, name, timedelta(hours=12))
    async with time_skipping() as environment:
        steps = TimedSteps(environment)
        permits = Permits(CapacityConfig(named=LIMITS))
        activities = [*steps.all(), permits.ask_for_permits, permits.see_holders]
        common: dict[str, Any] = {"activities": activities, "max_heartbeat_throttle_interval": timedelta(seconds=0.2)}
        known = [MigrateFleet, MigrateVm, Capacity]
        workflows = Worker(environment.client, task_queue=QUEUE, workflows=known, **common)
        transfer = Worker(environment.client, task_queue=TRANSFER_QUEUE, **common)
        starts = await environment.get_current_time()
        async with workflows, transfer:
            handle = await environment.client.start_workflow(
                MIGRATE_FLEET, request(), id="fleet/f", task_queue=QUEUE, result_type=FleetReport
            )
            report: FleetReport = await asyncio.wait_for(handle.result(), 500)
    calendar = foreseen(starts)
    assert (report.standing, calendar.through) == ({"done": 19, "failed": 1}, 19)
    for number, wave in enumerate(calendar.waves):
        members = [vm for at, (vm, _) in enumerate(sizes()) if at // 7 == number and vm != BAD]
        first, last = min(steps.off[vm] for vm in members), max(steps.on[vm] for vm in members)
        assert wave.first_cutover is not None
        foreseen_end = max(calendar.through_at[vm] for vm in members)
        assert abs(first - wave.first_cutover) < NEAR
        assert abs(last - foreseen_end) < NEAR
    assert calendar.peaks["host:vc/b"].most == 1
    assert calendar.peaks["link:vc/pool"].waited_h > 1, "else it would show nothing of permits"
