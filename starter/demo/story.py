"""What happens in the demo, by the same functions that the commands use."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from contracts.errors import FerryError
from contracts.sizes import spoken_size
from starter.beginning import begin, request_of
from starter.demo.comparing import disks_equal
from starter.demo.inventory import DATASTORE, SLOTS, VM
from starter.demo.journals import bytes_under_way, in_initial_sync, segments_in_journal
from starter.demo.stage import Stage
from starter.demo.telling import Teller
from starter.demo.verdict import Outcome
from starter.inspecting import POLLED_WITHIN, wait_for_worker
from starter.seen import Seen
from starter.sending import approve
from starter.settings import load_settings
from starter.views.migration import migration_view
from starter.watching import watch

SEGMENT_BYTES = 16 << 20
SEGMENTS_BEFORE_KILL = 3
KILL_WITHIN = 60.0

Result = TypeVar("Result")


async def story(stage: Stage, teller: Teller) -> Outcome:
    """Start, crash, go on, approve, compare.

    Raises:
        FerryError: a process died that should not have, or the migration needs a human.
    """
    client = await Client.connect(stage.address, data_converter=pydantic_data_converter)
    settings = load_settings(stage.config)
    stage.start_worker()
    await _guarded(stage, wait_for_worker(client, POLLED_WITHIN))
    request = request_of(
        {
            "source": settings.source(None),
            "vm": VM,
            "target": settings.target(None),
            "approval": "manual",
            "segment_bytes": SEGMENT_BYTES,
            "delta_interval": "3s",
            "downtime_budget": "60s",
        }
    )
    teller.say(f"ferry start {VM}: {request.source} → {request.target}, the VM runs and its guest writes on")
    workflow = (await begin(client, request)).id

    killed = await _guarded(stage, _segments_durable(client, stage, teller, workflow))
    assert stage.worker is not None
    stage.worker.kill()
    in_time = in_initial_sync(stage.store)
    durable = segments_in_journal(stage.store)
    told = ", ".join(str(count) for count in durable.values())
    teller.say(f"kill -9 of the worker in the middle of the initial sync: {told} segments are durable")
    stage.start_worker()
    teller.say("another worker is started; it goes on at the journal once the dead one is missed (10 s)")

    asked = await _guarded(stage, watch(client, workflow, teller.shown, until_human=True))
    _still_runs(asked)
    teller.say(f"it waits for a human. `ferry status {VM}` shows:\n")
    teller.show(migration_view(asked))
    await approve(client, asked, who="demo", note="it is only a demo")
    teller.show("")
    teller.say(f"ferry approve {VM}: the source is shut down, the last delta copied, the target started, all proven")
    ended = await _guarded(stage, watch(client, workflow, teller.shown, until_human=True))
    if ended.report is None:
        raise _needs_human(ended)
    report = ended.report
    teller.say(f"{report.outcome}: {report.passes} passes, {spoken_size(report.bytes_sent)} sent")
    files_equal = await asyncio.to_thread(disks_equal, stage.lab_folder, datastore=DATASTORE, vm=VM)
    return Outcome(
        report=report,
        segment_bytes=SEGMENT_BYTES,
        files_equal=files_equal,
        killed_in_initial_sync=in_time and all(count >= SEGMENTS_BEFORE_KILL for count in killed.values()),
        killed=durable,
        seconds=teller.seconds,
    )


async def _segments_durable(client: Client, stage: Stage, teller: Teller, workflow: str) -> dict[str, int]:
    """Return as soon as each disk has its segments in the journal, and one is in the middle of the next."""
    now = asyncio.get_running_loop().time
    deadline = now() + KILL_WITHIN
    watching = asyncio.create_task(watch(client, workflow, teller.shown, until_human=True))
    try:
        while now() < deadline:
            durable = segments_in_journal(stage.store)
            enough = len(durable) == len(SLOTS) and min(durable.values()) >= SEGMENTS_BEFORE_KILL
            if enough and bytes_under_way(stage.store):
                return durable
            if watching.done():
                raise _needs_human(watching.result())
            await asyncio.sleep(0.005)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    raise FerryError("internal", f"the initial sync did not get going within {KILL_WITHIN:.0f} s")


async def _guarded(stage: Stage, work: Coroutine[Any, Any, Result]) -> Result:
    """Do it, but notice at once when a process of the stage has died."""
    doing = asyncio.create_task(work)
    try:
        while True:
            done, _ = await asyncio.wait({doing}, timeout=0.5)
            if done:
                return doing.result()
            stage.check()
    finally:
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


def _still_runs(seen: Seen) -> None:
    if not seen.awaits_approval:
        raise _needs_human(seen)


def _needs_human(seen: Seen) -> FerryError:
    if seen.report is not None:
        return FerryError(seen.report.error or "internal", f"it ended too early: {seen.report.message}")
    status = seen.status
    if status is not None and status.needs_human:
        return FerryError(status.needs_human, status.message)
    return FerryError("internal", f"it waits where it should not, in {seen.phase}")
