"""The scripted steps that follow the start: smoke tests, reboots, and what becomes of the source."""

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from contracts.after import RebootOrder, RemoveOrder, Retired, RetireOrder, SmokeOrder, SmokeReport, Vitals
from contracts.machine import Power
from contracts.steps import SourceOrder
from contracts.test_boot import TestMade, TestOrder


class StepsAfterTheStart:
    """``missing``: what the next smoke tests find missing, one each; those after them pass."""

    def __init__(self) -> None:
        self.missing: deque[str] = deque()
        self.boots = 1
        self.tools_answer = True
        self.hold_smoke_test = False

    def _do(self, name: str, order: Any) -> None:
        raise NotImplementedError

    @activity.defn
    async def smoke_target(self, order: SmokeOrder) -> SmokeReport:
        self._do("smoke_target", order)
        while self.hold_smoke_test:
            activity.heartbeat()
            await asyncio.sleep(0.05)
        missing = (self.missing.popleft(),) if self.missing else ()
        booted = datetime(2026, 1, self.boots, tzinfo=UTC)
        vitals = Vitals(power=Power.ON, booted_at=booted, tools=self.tools_answer)
        return SmokeReport(at=datetime.now(UTC), vitals=vitals, missing=missing)

    @activity.defn
    async def reboot_target(self, order: RebootOrder) -> None:
        self._do("reboot_target", order)
        self.boots += 1

    @activity.defn
    async def retire_source(self, order: RetireOrder) -> Retired:
        self._do("retire_source", order)
        return Retired(name=f"web01{order.suffix}")

    @activity.defn
    async def remove_source(self, order: RemoveOrder) -> None:
        self._do("remove_source", order)

    @activity.defn
    async def make_test(self, order: TestOrder) -> TestMade:
        self._do("make_test", order)
        return TestMade(vm="test-vm-1", network="test-network-1")

    @activity.defn
    async def start_test(self, order: TestOrder) -> None:
        self._do("start_test", order)

    @activity.defn
    async def drop_test(self, order: TestOrder) -> None:
        self._do("drop_test", order)

    @activity.defn
    async def see_source_off(self, order: SourceOrder) -> None:
        self._do("see_source_off", order)
