"""Windows, budgets, expiry and quorum over simulated weeks, with workers that come and go."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio import activity
from temporalio.api.testservice.v1 import SleepRequest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.running import as_application_error
from contracts.errors import FerryError
from contracts.machine import Power
from contracts.names import MIGRATE_VM, QUEUE, TRANSFER_QUEUE, Phase
from contracts.steps import CopyOrder, CopyReport, PoweredOff, PowerOffOrder, ProofOrder, ProofReport
from contracts.told import Report, Status
from tests.time_skipping import time_skipping
from tests.workflows.one_workflow import Migration
from tests.workflows.scripted_steps import ScriptedSteps
from workflows import syncing
from workflows.migrate_vm import MigrateVm

pytestmark = pytest.mark.timeout(400)
PATIENCE = timedelta(seconds=100)
"""A busy machine takes its time."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class SlowSteps(ScriptedSteps):
    """Steps that take simulated time, and tell the simulated time. ``final_takes``: one for each final pass to come."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        super().__init__()
        self.environment = environment
        self.final_takes: list[timedelta] = []
        self.proof_takes = timedelta(0)
        self.pass_takes = timedelta(0)
        self.ends: dict[str, datetime] = {}
        self.finals = 0
        self.power_changes: list[tuple[str, datetime]] = []

    async def _takes(self, takes: timedelta) -> None:
        """Tried again until that time is over: the server's clock stands still while an activity runs."""
        now, step = await self.environment.get_current_time(), activity.info().activity_id
        if now < self.ends.setdefault(step, now + takes):
            raise as_application_error(FerryError("xapi.unreachable", "on order"))
        del self.ends[step]

    @activity.defn
    async def copy_disk(self, order: CopyOrder) -> CopyReport:
        takes = self.pass_takes
        if order.freeze.final and activity.info().attempt == 1:
            self.finals += 1
        if order.freeze.final:
            takes = self.final_takes[self.finals - 1] if len(self.final_takes) >= self.finals else timedelta(0)
        await self._takes(takes)
        return await super().copy_disk(order)

    @activity.defn
    async def power_off_source(self, order: PowerOffOrder) -> PoweredOff:
        await super().power_off_source(order)
        at = await self.environment.get_current_time()
        self.power_changes.append(("off", at))
        return PoweredOff(at=at, how="guest")

    @activity.defn
    async def power_on_source(self, order: Any) -> None:
        await super().power_on_source(order)
        self.power_changes.append(("on", await self.environment.get_current_time()))

    @activity.defn
    async def prove_target(self, order: ProofOrder) -> ProofReport:
        if order.part != "between":
            await self._takes(self.proof_takes)
        return await super().prove_target(order)


class Weeks(Migration):
    """A migration on a clock that jumps; its workers can be ended and begun anew."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        super().__init__(environment.client, SlowSteps(environment))
        self.environment = environment
        self._workers = AsyncExitStack()

    async def begin_workers(self) -> None:
        common: dict[str, Any] = {
            "activities": self.steps.all(),
            "max_heartbeat_throttle_interval": timedelta(seconds=0.2),
        }
        for queue, workflows in ((QUEUE, [MigrateVm]), (TRANSFER_QUEUE, [])):
            # No cache: each task replays all before it, and no task waits in the queue of a worker that is gone.
            worker = Worker(self.client, task_queue=queue, workflows=workflows, max_cached_workflows=0, **common)
            await self._workers.enter_async_context(worker)

    async def end_workers(self) -> None:
        await self._workers.aclose()
        self._workers = AsyncExitStack()

    async def restart_workers(self) -> None:
        await self.end_workers()
        await self.begin_workers()

    async def start(self, **request: Any) -> "Weeks":
        self.handle = await self.client.start_workflow(
            MIGRATE_VM, {"source": "vc", "vm": "web01", "target": "pool", "delta_interval": "1d", **request},
            id=f"migrate/vc/{next(_numbers)}", task_queue=QUEUE, result_type=Report,
        )  # fmt: skip
        return self

    async def until_monday(self) -> None:
        """Noon of the next one, so that no test depends on the day that it runs on."""
        now = await self.now()
        monday = (now + DAY).replace(hour=12, minute=0, second=0, microsecond=0)
        await self._sleep(monday + (-monday.weekday() % 7) * DAY - now)

    async def _sleep(self, left: timedelta) -> None:
        duration = Duration()
        duration.FromTimedelta(left)
        sleep = self.client.test_service.unlock_time_skipping_with_sleep
        await sleep(SleepRequest(duration=duration), timeout=PATIENCE)

    async def now(self) -> datetime:
        return await self.environment.get_current_time()

    async def skip_to(self, moment: datetime) -> Status:
        """In steps, so that no call takes long, and with patience: many passes may be due in between."""
        while (left := moment - await self.now()) > timedelta(0):
            await self._sleep(min(left, max(left / 4, 5 * MINUTE)))
        return await self.status()

    async def until(self, wanted: Any, seconds: float = PATIENCE.total_seconds()) -> Status:
        return await super().until(wanted, seconds)

    async def report(self) -> Report:
        """With time standing still, else what is waited for were skipped."""
        return await asyncio.wait_for(self.handle.result(), PATIENCE.total_seconds())

    async def yes(self, who: str = "ann", **more: Any) -> Any:
        ticket = (await self.status()).approval_ticket
        return await self.update("approve", {"approval_ticket": ticket, "who": who, **more})


_numbers = itertools.count()


@pytest.fixture
async def weeks() -> AsyncIterator[Weeks]:
    async with time_skipping() as environment:
        with environment.auto_time_skipping_disabled():
            made = Weeks(environment)
            await made.begin_workers()
            await made.until_monday()
            yield made
            if hasattr(made, "handle") and (await made.handle.describe()).close_time is None:
                await made.handle.terminate()
            await made.end_workers()


def saturday(now: datetime, *, weeks: int = 0) -> datetime:
    """22:00 UTC of the Saturday of this week (a test begins on a Monday), or of one after it."""
    day = now.replace(hour=22, minute=0, second=0, microsecond=0)
    return day + ((5 - day.weekday()) % 7) * DAY + weeks * 7 * DAY


def decided(report: Report | Status) -> list[str]:
    return [each.decision for each in report.decisions]


async def test_an_approved_cutover_waits_for_its_window_through_worker_restarts(weeks):
    await weeks.start(windows="Sat 22:00-02:00 UTC", max_passes=2, delta_interval="20h")
    await weeks.until_phase(Phase.AWAITING_APPROVAL)
    opens = saturday(await weeks.now())
    await weeks.yes()
    for day in (1, 2):
        await weeks.restart_workers()
        status = await weeks.skip_to(min(await weeks.now() + day * DAY, opens - HOUR))
        assert status.phase is Phase.AWAITING_APPROVAL
        assert "waits for the window" in status.held
        assert (status.window.opens.weekday(), status.window.opens.hour) == (5, 22)
    await weeks.skip_to(opens - MINUTE)
    assert "power_off_source" not in weeks.steps.said
    passes = len((await weeks.status()).passes)
    assert passes > 2, "deltas went on meanwhile"

    await weeks.skip_to(opens + MINUTE)

    report = await weeks.report()
    [(how, off)] = weeks.steps.power_changes
    assert (report.outcome, how) == ("done", "off")
    assert opens <= off < opens + MINUTE


async def test_a_window_that_closes_in_the_final_pass_brings_the_source_back_and_the_next_one_is_taken(weeks):
    await weeks.start(windows="Sat 22:00-22:30 UTC", max_passes=2, downtime_budget="1h")
    weeks.steps.final_takes = [HOUR]
    await weeks.until_phase(Phase.AWAITING_APPROVAL)
    opens = saturday(await weeks.now())
    await weeks.yes()
    await weeks.skip_to(opens + MINUTE)
    await weeks.until_phase(Phase.CUTOVER)
    assert weeks.steps.power is Power.OFF

    status = await weeks.skip_to(opens + 32 * MINUTE)

    assert weeks.steps.power is Power.ON
    back = weeks.steps.said
    assert [each for each in back if each in ("seal-cut", "unfence_source", "power_on_source")] == [
        "seal-cut", "unfence_source", "power_on_source",
    ]  # fmt: skip
    (_, off), (_, on) = weeks.steps.power_changes
    assert opens <= off < opens + MINUTE
    assert timedelta(0) <= on - (opens + 30 * MINUTE) < MINUTE
    status = await weeks.until(lambda status: status.phase is Phase.AWAITING_APPROVAL and status.held)
    assert status.approved_by == "ann", "the yes still counts"
    assert decided(status) == ["approved", "called-back"]
    assert status.decisions[-1].note.startswith("cutover.window_closed")
    await weeks.restart_workers()
    await weeks.skip_to(opens + 7 * DAY + MINUTE)
    report = await weeks.report()
    assert report.outcome == "done"
    assert not weeks.steps.both_on_at_once


async def test_a_final_pass_that_overruns_its_budget_is_cut_and_a_human_is_asked_after_the_third(weeks):
    weeks.steps.final_takes = [DAY] * 4
    await weeks.start(approval="auto", max_passes=3, downtime_budget="5m", delta_interval="15m")
    end = await weeks.now() + 2 * HOUR
    await weeks.skip_to(end)
    status = await weeks.until(lambda status: status.needs_human == "cutover.overran")

    assert weeks.steps.power is Power.ON
    assert weeks.steps.finals == 3
    assert [each for each in decided(status) if each == "called-back"] == ["called-back"] * 3
    changes = weeks.steps.power_changes
    for (_, off), (_, on) in zip(changes[::2], changes[1::2], strict=True):
        assert 4 * MINUTE < on - off < 9 * MINUTE, "half as much again as the budget, and no more"
    assert status.approved_by == ""

    weeks.steps.final_takes = []
    await weeks.update("retry", {"who": "ann"})
    await weeks.skip_to(await weeks.now() + HOUR)
    assert (await weeks.report()).outcome == "done"


async def test_a_read_back_that_overruns_comes_after_the_start_the_next_time(weeks):
    weeks.steps.proof_takes = HOUR
    await weeks.start(approval="auto", max_passes=3, downtime_budget="5m", delta_interval="15m")
    await weeks.skip_to(await weeks.now() + 2 * HOUR)
    weeks.steps.proof_takes = timedelta(0)
    await weeks.skip_to(await weeks.now() + HOUR)

    report = await weeks.report()
    assert report.outcome == "done"
    assert decided(report).count("called-back") == 1
    said = weeks.steps.said
    assert said.index("start_target") < len(said) - 1 - said[::-1].index("prove_target"), "proven after the start"


async def test_a_yes_that_has_expired_counts_no_more_and_the_record_says_so(weeks):
    await weeks.start(windows="Sat 22:00-02:00 UTC", approval_expires="12h", max_passes=2)
    await weeks.until_phase(Phase.AWAITING_APPROVAL)
    opens = saturday(await weeks.now())
    await weeks.yes()
    assert (await weeks.status()).approvals[0].expires_at is not None
    await weeks.restart_workers()

    status = await weeks.skip_to(opens + 5 * HOUR)

    assert "power_off_source" not in weeks.steps.said
    assert decided(status) == ["approved", "expired"]
    assert (status.decisions[1].who_is, status.decisions[0].who_is) == ("ferry", "claimed")
    assert (status.approved_by, status.approvals) == ("", ())
    await weeks.skip_to(saturday(await weeks.now()) - HOUR)
    await weeks.yes()
    await weeks.skip_to(await weeks.now() + 2 * HOUR)
    assert (await weeks.report()).outcome == "done"


async def test_a_quorum_is_of_distinct_people_and_a_no_takes_all_of_it_back(weeks):
    await weeks.start(quorum=2, max_passes=2)
    await weeks.until_phase(Phase.AWAITING_APPROVAL)
    await weeks.yes("Ann")
    await weeks.yes(" ann ")
    status = await weeks.status()
    assert (len(status.approvals), status.quorum, status.approved_by) == (1, 2, "")
    assert len(status.decisions) == 1, "a repeat is no second yes"
    await weeks.update("reject", {"who": "carl"})
    await weeks.handle.signal("approve_cutover", {"approval_ticket": status.approval_ticket, "who": "bob"})
    status = await weeks.until(lambda status: len(status.approvals) == 1)
    assert status.approvals[0].who == "bob", "the yes of ann was taken back"
    assert "power_off_source" not in weeks.steps.said

    await weeks.yes("ann")

    report = await weeks.report()
    assert decided(report) == ["approved", "rejected", "approved", "approved"]


async def test_a_cutover_whose_predicted_downtime_is_longer_than_allowed_waits_until_it_fits(weeks):
    weeks.steps.pass_takes = 20 * MINUTE
    await weeks.start(max_passes=2, downtime_budget="1h", delta_interval="6h")
    await weeks.skip_to(await weeks.now() + HOUR)
    await weeks.until_phase(Phase.AWAITING_APPROVAL)

    await weeks.yes(max_downtime="5m")

    status = await weeks.until(lambda status: status.needs_human == "cutover.downtime_exceeded")
    assert "power_off_source" not in weeks.steps.said
    weeks.steps.pass_takes = timedelta(0)
    before = len(status.passes)
    await weeks.skip_to(await weeks.now() + 7 * HOUR)
    report = await weeks.report()
    assert report.outcome == "done"
    assert report.passes > before + 1, "passes went on"


async def test_no_cutover_begins_that_would_not_end_within_the_window(weeks):
    weeks.steps.pass_takes = 20 * MINUTE
    await weeks.start(max_passes=2, downtime_budget="1h", windows=["Sat 22:00-23:00 UTC", "Sun 03:00-03:10 UTC"])
    await weeks.skip_to(await weeks.now() + HOUR)
    await weeks.until_phase(Phase.AWAITING_APPROVAL)
    opens = saturday(await weeks.now())
    await weeks.skip_to(opens + 30 * MINUTE)

    await weeks.yes()

    status = await weeks.until(lambda status: "does not fit" in status.held)
    await weeks.skip_to(opens + 5 * HOUR + 2 * MINUTE)
    status = await weeks.until(lambda status: status.needs_human == "cutover.window_too_short")
    assert "power_off_source" not in weeks.steps.said
    await weeks.update("set_limits", {"who": "ann", "windows": "daily 00:00-24:00 UTC"})
    await weeks.skip_to(await weeks.now() + 2 * HOUR)
    assert (await weeks.report()).outcome == "done"
    assert status.windows == ("Sat 22:00-23:00 UTC", "Sun 03:00-03:10 UTC")


async def test_when_all_windows_are_over_a_human_is_told_and_passes_go_on(weeks):
    soon = (await weeks.now() + 2 * DAY).astimezone(UTC)
    await weeks.start(windows=[f"{soon:%Y-%m-%d} 01:00-02:00 UTC"], max_passes=2)
    await weeks.until_phase(Phase.AWAITING_APPROVAL)
    status = await weeks.skip_to(soon + 2 * DAY)
    assert status.needs_human == "cutover.no_window"
    passes = len(status.passes)
    await weeks.skip_to(soon + 4 * DAY)
    assert len((await weeks.status()).passes) > passes

    await weeks.yes()
    await weeks.update("set_limits", {"windows": []})

    assert (await weeks.report()).outcome == "done"


async def test_what_was_decided_is_carried_into_new_runs(weeks, monkeypatch):
    monkeypatch.setattr(syncing, "PASSES_PER_RUN", 3)
    await weeks.start(windows="Sat 22:00-02:00 UTC", quorum=2, approval_expires="30d", max_passes=2)
    await weeks.until_phase(Phase.AWAITING_APPROVAL)
    opens = saturday(await weeks.now(), weeks=1)
    await weeks.yes("ann", max_downtime="1h")
    await weeks.skip_to(opens - 4 * DAY)
    await weeks.yes("bob")
    status = await weeks.skip_to(opens - HOUR)
    assert status.runs > 2
    assert [each.who for each in status.approvals] == ["ann", "bob"]

    await weeks.skip_to(opens + MINUTE)

    report = await weeks.report()
    assert report.outcome == "done"
    assert opens <= weeks.steps.power_changes[0][1] < opens + MINUTE
