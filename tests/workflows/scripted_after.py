"""The scripted steps that follow the start: smoke tests, reboots, and what becomes of the source."""

from collections import deque
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from contracts.after import RebootOrder, RemoveOrder, Retired, RetireOrder, SmokeOrder, SmokeReport, Vitals
from contracts.machine import Power


class StepsAfterTheStart:
    """``missing``: what the next smoke tests find missing, one each; those after them pass."""

    def __init__(self) -> None:
        self.missing: deque[str] = deque()
        self.boots = 1

    def _do(self, name: str, order: Any) -> None:
        raise NotImplementedError

    @activity.defn
    async def smoke_target(self, order: SmokeOrder) -> SmokeReport:
        self._do("smoke_target", order)
        missing = (self.missing.popleft(),) if self.missing else ()
        booted = datetime(2026, 1, self.boots, tzinfo=UTC)
        return SmokeReport(at=datetime.now(UTC), vitals=Vitals(power=Power.ON, booted_at=booted), missing=missing)

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
