"""A fleet on a real Temporal server; its migrations are real, their steps are on paper."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError
from temporalio.worker import Worker

from contracts.errors import FerryError
from contracts.fleet import FleetAck, FleetReport, FleetStatus
from contracts.machine import Power
from contracts.names import MIGRATE_FLEET, QUEUE, TRANSFER_QUEUE
from contracts.steps import CopyOrder, CopyReport, PoweredOff, PowerOffOrder, Preflight, PreflightOrder, ShellRef
from tests.workflows.scripted_steps import ScriptedSteps, as_application_error
from workflows.migrate_fleet import MigrateFleet
from workflows.migrate_vm import MigrateVm


class FleetSteps(ScriptedSteps):
    """Of many VMs. ``off``: in the order in which they were powered off; ``most``, ``most_off``: at once in their first
    copy, and between power-off and end."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: set[str] = set()
        self.off: list[str] = []
        self.copies = self.most = self.cutovers = self.most_off = 0

    @activity.defn
    async def preflight(self, order: PreflightOrder) -> Preflight:
        vm = order.errand.vm
        if vm in self.bad:
            raise as_application_error(FerryError("vm.unknown", vm))
        answer = await super().preflight(order)
        power = Power.OFF if vm in self.off else Power.ON
        machine = answer.machine.model_copy(update={"name": vm, "machine_id": f"id-{vm}", "power": power})
        return answer.model_copy(update={"machine": machine})

    @activity.defn
    async def copy_disk(self, order: CopyOrder) -> CopyReport:
        first = order.pass_no == 1
        self.copies += first
        self.most = max(self.most, self.copies)
        try:
            await asyncio.sleep(0.05)
            return await super().copy_disk(order)
        finally:
            self.copies -= first

    @activity.defn
    async def power_off_source(self, order: PowerOffOrder) -> PoweredOff:
        self.off.append(order.errand.vm)
        self.cutovers += 1
        self.most_off = max(self.most_off, self.cutovers)
        return await super().power_off_source(order)

    @activity.defn
    async def finish_target(self, order: ShellRef) -> None:
        self.cutovers -= 1
        await super().finish_target(order)


class Fleet:
    """One fleet and the steps of its members."""

    def __init__(self, client: Client, steps: FleetSteps) -> None:
        self.client, self.steps = client, steps
        self.source = f"vc{uuid.uuid4().hex[:8]}"
        self.handle: WorkflowHandle[Any, Any]

    async def start(self, *members: dict[str, Any], **request: Any) -> "Fleet":
        defaults = {"source": self.source, "target": "pool", "delta_interval": "1h", **request.pop("defaults", {})}
        said = {"fleet": self.source, "defaults": defaults, "members": list(members), **request}
        self.handle = await self.client.start_workflow(
            MIGRATE_FLEET, said, id=f"fleet/{self.source}", task_queue=QUEUE, result_type=FleetReport
        )
        return self

    async def status(self) -> FleetStatus:
        return await self.handle.query("status", result_type=FleetStatus)

    async def until(self, wanted: Any, seconds: float = 40) -> FleetStatus:
        for _ in range(int(seconds / 0.1)):
            status = await self.status()
            if wanted(status):
                return status
            await asyncio.sleep(0.1)
        raise AssertionError(f"never came: {status}")

    async def say(self, name: str, **said: Any) -> FleetAck:
        return await self.handle.execute_update(name, {"who": "ann", **said}, result_type=FleetAck)

    async def report(self) -> FleetReport:
        await self.until(lambda seen: seen.over)
        report: FleetReport = await self.handle.result()
        return report


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a fleet waits for its last notice, which is gathered with others."""
    monkeypatch.setattr("workflows.timing.GATHER_NOTICES", timedelta(seconds=0.2))


@pytest.fixture
async def fleet(temporal_client: Client) -> AsyncIterator[Fleet]:
    steps = FleetSteps()
    common: dict[str, Any] = {"activities": steps.all(), "max_heartbeat_throttle_interval": timedelta(seconds=0.2)}
    workflows = Worker(temporal_client, task_queue=QUEUE, workflows=[MigrateFleet, MigrateVm], **common)
    made = Fleet(temporal_client, steps)
    async with workflows, Worker(temporal_client, task_queue=TRANSFER_QUEUE, **common):
        yield made
        query = f"WorkflowId STARTS_WITH 'migrate/{made.source}' OR WorkflowId = 'fleet/{made.source}'"
        async for each in temporal_client.list_workflows(f"({query}) AND ExecutionStatus = 'Running'"):
            with contextlib.suppress(RPCError):  # it ended meanwhile
                await temporal_client.get_workflow_handle(each.id).terminate()


def some(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"vm": name, **more} for name in names]


async def test_all_members_move_and_never_more_at_once_than_may(fleet: Fleet) -> None:
    await fleet.start(*some(*"abcdefgh"), at_once=2, waves=[{"name": "1", "approval": "auto"}])

    report = await fleet.report()

    assert (report.outcome, report.members, report.standing) == ("done", 8, {"done": 8})
    assert fleet.steps.most <= 2
    assert fleet.steps.most_off <= 2
    assert sorted(fleet.steps.off) == list("abcdefgh")


async def test_an_application_is_cut_over_after_its_database_and_a_wave_after_the_one_before(fleet: Fleet) -> None:
    waves = [{"name": "first", "approval": "auto"}, {"name": "second", "approval": "auto"}]
    app = {"vm": "app", "wave": "first", "after": ["db"]}
    await fleet.start({"vm": "late", "wave": "second"}, app, {"vm": "db", "wave": "first"}, waves=waves)

    assert (await fleet.report()).outcome == "done"
    assert fleet.steps.off == ["db", "app", "late"]


async def test_nobody_is_powered_off_before_a_wave_is_approved_and_the_yes_is_the_persons(fleet: Fleet) -> None:
    await fleet.start(*some("a", "b"), {"vm": "c", "wave": "2"}, waves=[{"name": "1"}, {"name": "2"}])
    status = await fleet.until(lambda seen: len(seen.asks) == 3)
    assert (fleet.steps.off, status.copying, status.cutting_over) == ([], 0, 0)

    assert set((await fleet.say("approve", waves=["1"], note="CHG-1")).taken) == {"a", "b"}
    await fleet.until(lambda seen: seen.standing.get("done") == 2)

    assert sorted(fleet.steps.off) == ["a", "b"]
    ended = fleet.client.get_workflow_handle(f"migrate/{fleet.source}/a")
    [decision] = (await ended.result())["decisions"]
    assert (decision["who"], decision["note"]) == ("ann", "CHG-1")
    assert (await fleet.say("approve", waves=["1"])).passed_over == {"a": "done", "b": "done"}
    await fleet.say("approve", vms=["c"])
    assert (await fleet.report()).outcome == "done"


async def test_one_failure_too_many_pauses_the_fleet_until_somebody_says_go_on(fleet: Fleet) -> None:
    fleet.steps.bad = {"b1", "b2"}
    members = some("b1", "b2", "a", "c")
    await fleet.start(*members, at_once=1, failure_budget=1, waves=[{"name": "1", "approval": "auto"}])
    status = await fleet.until(lambda seen: seen.paused)
    assert status.paused_by.startswith("fleet.budget_spent")
    assert status.failed == {"b1": "vm.unknown", "b2": "vm.unknown"}
    assert status.standing["waiting"] == 2

    await fleet.say("resume")
    report = await fleet.report()

    assert (report.outcome, report.not_done) == ("partial", {"b1": "vm.unknown", "b2": "vm.unknown"})


async def test_who_comes_after_a_failed_one_waits_until_it_is_retried_or_skipped(fleet: Fleet) -> None:
    fleet.steps.bad = {"db", "queue"}
    app = {"vm": "app", "after": ["db", "queue"]}
    await fleet.start(app, *some("db", "queue"), waves=[{"name": "1", "approval": "auto"}])
    await fleet.until(lambda seen: len(seen.failed) == 2 and seen.waves[0].phases == {"awaiting-approval": 1})
    await asyncio.sleep(0.5)
    assert fleet.steps.off == []

    fleet.steps.bad = set()
    assert (await fleet.say("skip", vms=["queue"])).taken == ("queue",)
    assert (await fleet.say("retry", vms=["db", "app"])).taken == ("db",)

    report = await fleet.report()
    assert fleet.steps.off == ["db", "app"]
    assert (report.outcome, report.not_done) == ("partial", {"queue": "skipped"})


async def test_what_somebody_skipped_is_begun_again_only_where_it_is_named(fleet: Fleet) -> None:
    fleet.steps.bad = {"db"}
    await fleet.start(*some("db", "queue", "web"), at_once=1)
    await fleet.say("skip", vms=["queue"])
    await fleet.until(lambda seen: seen.standing.get("failed") == 1 and seen.asks == ("web",))

    fleet.steps.bad = set()
    ack = await fleet.say("retry", everyone=True)

    assert ack.taken == ("db",)
    assert ack.passed_over["queue"].startswith("skipped")
    assert (await fleet.say("retry", vms=["queue"])).taken == ("queue",)
    await fleet.until(lambda seen: set(seen.asks) == {"db", "queue", "web"})
    await fleet.handle.cancel()
    await fleet.until(lambda seen: seen.standing.get("cancelled") == 3 or seen.over)


async def test_nobody_is_promised_to_begin_in_a_fleet_that_was_cancelled(fleet: Fleet) -> None:
    fleet.steps.bad = {"db"}
    fleet.steps.hold_copies = True
    await fleet.start(*some("db", "web"))
    await fleet.until(lambda seen: seen.standing.get("failed") == 1)
    await fleet.handle.cancel()
    await asyncio.sleep(1)
    for name, said in (("retry", {"vms": ["db"]}), ("add", {"members": some("late")})):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await fleet.say(name, **said)
        assert "was cancelled" in str(refused.value.cause)
    fleet.steps.hold_copies = False


async def test_members_are_added_while_it_runs_and_a_pause_begins_nobody(fleet: Fleet) -> None:
    await fleet.start({"vm": "a"})
    await fleet.until(lambda seen: seen.asks == ("a",))
    await fleet.say("pause")
    await fleet.say("add", members=some("b"))
    await asyncio.sleep(0.5)
    assert (await fleet.status()).standing == {"waiting": 1, "running": 1}

    await fleet.say("resume")
    await fleet.until(lambda seen: set(seen.asks) == {"a", "b"})
    await fleet.say("approve", everyone=True)

    assert (await fleet.report()).standing == {"done": 2}


async def test_a_cancel_undoes_those_that_run_and_begins_no_other(fleet: Fleet) -> None:
    await fleet.start(*some("a", "b", "c"), at_once=1)
    fleet.steps.hold_copies = True
    await fleet.until(lambda seen: fleet.steps.copies > 0)
    await fleet.handle.cancel()

    report = await fleet.report()

    assert report.outcome == "cancelled"
    assert fleet.steps.off == []
    assert report.standing == {"cancelled": 3}


async def test_what_is_wrong_is_refused_with_its_reason(fleet: Fleet) -> None:
    await fleet.start({"vm": "a"})
    for name, said, words in (
        ("approve", {"waves": ["9"]}, "there is no wave '9'"),
        ("approve", {}, "name waves or VMs"),
        ("add", {"members": some("a")}, "a is in it twice"),
        ("add", {"members": [{"vm": "x", "after": ["y"]}, {"vm": "y", "after": ["x"]}]}, "x → y → x"),
        ("add", {"members": [{"vm": "x", "request": {"max_pases": 3}}]}, "max_pases"),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await fleet.say(name, **said)
        assert words in str(refused.value.cause)


async def test_it_goes_on_in_a_new_run_with_all_it_knew(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.timing.EVENTS_PER_RUN", 30)
    await fleet.start(*some("a", "b", "c", "d"), at_once=2)
    status = await fleet.until(lambda seen: len(seen.asks) == 4)
    assert status.runs > 1
    await fleet.say("approve", everyone=True)

    report = await fleet.report()

    assert (report.outcome, report.standing) == ("done", {"done": 4})


async def test_a_persons_no_outranks_a_wave_that_asks_nobody(fleet: Fleet) -> None:
    app = {"vm": "app", "after": ["db"], "wave": "auto"}
    await fleet.start(
        app, {"vm": "db", "wave": "asked"}, waves=[{"name": "asked"}, {"name": "auto", "approval": "auto"}]
    )
    await fleet.until(lambda seen: seen.asks == ("db",))
    migration = fleet.client.get_workflow_handle(f"migrate/{fleet.source}/app")
    await migration.execute_update("reject", {"who": "ann"})
    await fleet.until(lambda seen: set(seen.asks) == {"app", "db"})
    await fleet.say("approve", vms=["db"])
    await fleet.until(lambda seen: seen.standing.get("done") == 1)
    await asyncio.sleep(0.5)
    assert fleet.steps.off == ["db"]

    await fleet.say("approve", vms=["app"])

    assert (await fleet.report()).outcome == "done"


async def test_a_paused_fleet_asks_nobody_for_a_yes_that_its_rule_will_give(fleet: Fleet) -> None:
    fleet.steps.hold_copies = True
    await fleet.start(*some("a", "b"), waves=[{"name": "1", "approval": "auto"}])
    await fleet.until(lambda seen: seen.copying == 2)
    await fleet.say("pause")
    fleet.steps.hold_copies = False
    status = await fleet.until(lambda seen: seen.waves[0].phases == {"awaiting-approval": 2})
    assert (status.asks, status.waves[0].asks) == ((), 0)

    no_to_b = fleet.client.get_workflow_handle(f"migrate/{fleet.source}/b")
    await no_to_b.execute_update("reject", {"who": "ann"})
    status = await fleet.until(lambda seen: seen.asks)
    assert (status.asks, status.waves[0].asks) == (("b",), 1)
    assert fleet.steps.off == []

    await fleet.say("resume")
    await fleet.until(lambda seen: seen.standing.get("done") == 1)
    assert ((await fleet.status()).asks, fleet.steps.off) == (("b",), ["a"])
    await fleet.say("approve", vms=["b"])
    assert (await fleet.report()).standing == {"done": 2}
