"""Records histories of fleets: ``python -m tests.replay.record_fleet VERSION``. The fleet and its migrations are real
workflows on a real server, their steps are on paper: a fleet orders none of them.

As for migrations: what is there is never rewritten.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from contracts.names import QUEUE, TRANSFER_QUEUE
from starter.temporal_server import DevServer
from tests.replay.record import _scrubbed
from tests.support import register_search_attributes
from tests.workflows.test_fleet import Fleet, FleetSteps, some
from workflows import timing

if hasattr(timing, "GATHER_NOTICES"):
    from datetime import timedelta

    timing.GATHER_NOTICES = timedelta(seconds=1)
from workflows.migrate_fleet import MigrateFleet
from workflows.migrate_vm import MigrateVm

HISTORIES = Path(__file__).parent / "fleets"
SUMS = HISTORIES / "SHA256SUMS"


async def record(version: str, folder: Path) -> None:
    """A fleet of two waves: one member fails and pauses it, one is added, a wave is approved, one asks nobody."""
    if (folder / f"{version}-waves.json").exists():
        raise SystemExit(f"{version} is there already; a committed history is never rewritten")
    with tempfile.TemporaryDirectory() as scratch, DevServer(Path(scratch)) as server:
        await register_search_attributes(server.address)
        client = await Client.connect(server.address, data_converter=pydantic_data_converter)
        steps = FleetSteps()
        steps.bad = {"bad"}
        common: dict[str, Any] = {"activities": steps.all()}
        work = Worker(client, task_queue=QUEUE, workflows=[MigrateFleet, MigrateVm], **common)
        async with work, Worker(client, task_queue=TRANSFER_QUEUE, **common):
            fleet = Fleet(client, steps)
            waves = [{"name": "pilot"}, {"name": "rest", "approval": "auto"}]
            await fleet.start(
                *some("db", "bad", wave="pilot"), {"vm": "app", "wave": "rest", "after": ["db"]}, waves=waves,
                failure_budget=0,
            )  # fmt: skip
            await fleet.until(lambda seen: seen.paused and "db" in seen.asks)
            await fleet.say("add", members=some("late", wave="rest"))
            await fleet.say("resume")
            await fleet.say("skip", vms=["bad"])
            await fleet.say("approve", waves=["pilot"])
            assert (await fleet.report()).outcome == "partial"
            history = await fleet.handle.fetch_history()
    events = [json.dumps(_scrubbed(event)) for event in json.loads(history.to_json())["events"]]
    text = f'{{"workflowId": "{fleet.handle.id}", "events": [\n' + ",\n".join(events) + "\n]}\n"
    folder.mkdir(exist_ok=True)
    (folder / f"{version}-waves.json").write_text(text)
    with (folder / SUMS.name).open("a") as sums:
        sums.write(f"{hashlib.sha256(text.encode()).hexdigest()}  {version}-waves.json\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="of the release, such as 0.1.0")
    parser.add_argument("--into", type=Path, default=HISTORIES)
    said = parser.parse_args()
    asyncio.run(record(said.version, said.into))
    sys.stdout.flush()
    os._exit(0)
