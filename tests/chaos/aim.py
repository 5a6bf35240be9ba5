"""The worker in our own process, whose activities are seen to begin and end; what is armed, is armed there."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import temporalio.client
import temporalio.worker
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

import worker
from contracts.config import load_config

BESIDE = ("append_record", "next_window")
"""What runs beside the steps of a migration."""


def step_of(name: str, before: str) -> str:
    """The step that a migration is at, when this activity begins."""
    return before if name in BESIDE else name


class Aim(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Awaits ``begins(name, how many before)`` before every activity, calls ``ends(name)`` after each attempt.

    ``last``: the step that it is at.
    """

    def __init__(self, begins: Callable[[str, int], Awaitable[None]], ends: Callable[[str], None]) -> None:
        self._begins, self._ends = begins, ends
        self._seen: set[tuple[str, str]] = set()
        self.begun: Counter[str] = Counter()
        self.last = ""

    def intercept_activity(
        self, next: temporalio.worker.ActivityInboundInterceptor
    ) -> temporalio.worker.ActivityInboundInterceptor:
        """Ours goes around the real one."""
        return _Aimed(next, self)

    async def begin(self) -> None:
        """An attempt begins; only the first of an activity counts as one."""
        info = activity.info()
        self.last = step_of(info.activity_type, self.last)
        key = (info.workflow_run_id or "", info.activity_id)
        if key not in self._seen:
            self._seen.add(key)
            self.begun[info.activity_type] += 1
            await self._begins(info.activity_type, self.begun[info.activity_type] - 1)

    def end(self) -> None:
        """It has ended, well or not."""
        self._ends(activity.info().activity_type)


class _Aimed(temporalio.worker.ActivityInboundInterceptor):
    def __init__(self, next: temporalio.worker.ActivityInboundInterceptor, aim: Aim) -> None:
        super().__init__(next)
        self._aim = aim

    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:
        await self._aim.begin()
        try:
            return await super().execute_activity(input)
        finally:
            self._aim.end()


@contextlib.asynccontextmanager
async def worker_here(address: str, config: Path, aim: Aim) -> AsyncIterator[None]:
    """The worker as it ships, in this process, until the block ends; then it has logged out."""
    client = await Client.connect(address, data_converter=pydantic_data_converter, interceptors=[aim])
    await worker.register_search_attributes(client)
    systems = worker.build_systems(load_config(config))
    try:
        async with contextlib.AsyncExitStack() as running:
            for each in worker.workers(client, systems):
                await running.enter_async_context(each)
            yield
    finally:
        for system in (*systems.sources.values(), *systems.targets.values()):
            await asyncio.to_thread(system.close)
