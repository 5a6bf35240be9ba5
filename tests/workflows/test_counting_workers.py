"""A budget of bandwidth is shared by as many workers as poll."""

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

import worker
from activities.limits import Limits
from contracts.names import QUEUE, TRANSFER_QUEUE
from contracts.sites import queue_of
from starter.polling import need_worker, unpolled
from starter.temporal_server import DevServer


@activity.defn
async def nothing() -> None:
    """Something to poll for."""


async def test_workers_of_a_site_are_counted_and_those_of_others_are_not(
    dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "COUNTED_EVERY", 0.2)
    client = await Client.connect(dev_server.address)
    systems: Any = SimpleNamespace(limits=Limits(budgets={"site": "64M"}), site="counted")
    counting = asyncio.create_task(worker._count_workers(client, systems))
    async with contextlib.AsyncExitStack() as running:
        for identity, site in (("one", "counted"), ("two", "counted"), ("three", "elsewhere"), ("four", "")):
            queue = queue_of(TRANSFER_QUEUE, site)
            its = await Client.connect(dev_server.address, identity=identity)
            await running.enter_async_context(Worker(its, task_queue=queue, activities=[nothing]))
        async with asyncio.timeout(100):
            while systems.limits.workers < 2:
                await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        assert systems.limits.workers == 2
        assert queue_of(QUEUE, "counted") in await unpolled(client, "counted"), "they take bytes only"
        assert queue_of(TRANSFER_QUEUE, "counted") not in await unpolled(client, "counted")
        with pytest.raises(Exception, match="no worker polls"):
            await need_worker(client, "counted")
    counting.cancel()
