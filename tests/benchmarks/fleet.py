"""What a fleet costs: migrations that begin in a second, and events, bytes and CPU of one VM, from 10 to 1,000. JSON.

Real workflows (`MigrateFleet`, `MigrateVm`) on a real Temporal server with one worker, whose steps are on paper: so
this is the price of the orchestration, and none of a disk's bytes. For each size: all are copied and wait for a yes; a
status is asked for, a quarter is approved, then the rest, until all is done.

``python -m tests.benchmarks.fleet -o json --sizes 10,100,1000``
"""

import argparse
import asyncio
import json
import logging
import os
import resource
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from contracts.config import TemporalConfig
from contracts.fleet import FleetAck, FleetReport, FleetStatus
from contracts.names import MIGRATE_FLEET, QUEUE, TRANSFER_QUEUE
from starter.fleets import look_at
from starter.temporal_server import DevServer
from tests.support import register_search_attributes
from tests.workflows.test_fleet import FleetSteps
from trust.converting import converter_of
from workflows.migrate_fleet import MigrateFleet
from workflows.migrate_vm import MigrateVm

AT_ONCE = 100
SIZES = (10, 100, 1000)
PATIENCE = 1800.0


class QuickSteps(FleetSteps):
    """On paper, and many of them: what a test would look up is not kept."""

    def _do(self, name: str, order: Any) -> None:
        return


async def measure(client: Client, size: int) -> dict[str, Any]:
    """One fleet, from its request to its report."""
    name, source = f"bench{size}", f"vc{size}"
    members = [{"vm": f"vm{number:04}", "wave": "one" if number < size // 4 else "two"} for number in range(size)]
    request = {
        "fleet": name, "defaults": {"source": source, "target": "pool", "delta_interval": "12h"}, "members": members,
        "waves": [{"name": "one"}, {"name": "two"}], "at_once": min(size, AT_ONCE),
    }  # fmt: skip
    cpu, began = _cpu(), time.monotonic()
    fleet: WorkflowHandle[Any, FleetReport] = await client.start_workflow(
        MIGRATE_FLEET, request, id=f"fleet/{name}", task_queue=QUEUE, result_type=FleetReport
    )
    await _until(fleet, lambda seen: seen.waves[0].asks + seen.waves[1].asks == size)
    waiting = time.monotonic() - began
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    asked = time.monotonic()
    seen = await look_at(client, name)
    status_s = time.monotonic() - asked
    assert len(seen.members) == size
    command_s, listed_s = [
        await _ferry(client, *words) for words in (("status", f"fleet/{name}"), ("status", "--fleet", name))
    ]
    asked = time.monotonic()
    said = {"who": "ann", "waves": ["one"]}
    ack: FleetAck = await fleet.execute_update("approve", said, result_type=FleetAck)
    approve_s = time.monotonic() - asked
    heard = time.monotonic()
    await _until(fleet, lambda seen: seen.waves[0].standing.get("done", 0) == size // 4)
    wave_s = time.monotonic() - heard
    await fleet.execute_update("approve", {"who": "ann", "everyone": True}, result_type=FleetAck)
    await fleet.result()
    whole, spent = time.monotonic() - began, _cpu() - cpu
    runs = await _histories(client, f"WorkflowId = 'fleet/{name}'")
    sample = [run for vm in range(0, size, max(1, size // 10))
              for run in await _histories(client, f"WorkflowId = 'migrate/{source}/vm{vm:04}'")]  # fmt: skip
    return {
        "path": "fleet", "machines": size, "begun_per_s": round(size / waiting, 2), "seconds": round(whole, 1),
        "cpu_s_a_machine": round(spent / size, 3), "worker_rss_mib": rss,
        "fleet_events_a_machine": round(sum(events for events, _ in runs) / size, 1),
        "fleet_bytes_a_machine": round(sum(each for _, each in runs) / size), "fleet_runs": len(runs),
        "events_a_machine": round(sum(events for events, _ in sample) / len(sample)),
        "bytes_a_machine": round(sum(each for _, each in sample) / len(sample)),
        "most_events_of_a_run": max(events for events, _ in (*runs, *sample)),
        "most_bytes_of_a_run": max(each for _, each in (*runs, *sample)),
        "status_s": round(status_s, 2), "approved_at_once": len(ack.taken), "approve_s": round(approve_s, 2),
        "wave_through_s": round(wave_s, 1), "ferry_status_s": round(command_s, 2), "ferry_list_s": round(listed_s, 2),
    }  # fmt: skip


async def _ferry(client: Client, *words: str) -> float:
    """Seconds of a whole `ferry` command, as a person types it."""
    environment = {**os.environ, "TEMPORAL_ADDRESS": client.service_client.config.target_host}
    began = time.monotonic()
    told = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "ferry"), *words, "-o", "json", env=environment, stdout=PIPE, stderr=PIPE
    )
    out, err = await told.communicate()
    assert told.returncode in (0, 5, 8), err.decode()
    assert out
    return time.monotonic() - began


async def _until(fleet: WorkflowHandle[Any, Any], wanted: Callable[[FleetStatus], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not wanted(await fleet.query("status", result_type=FleetStatus)):
        assert time.monotonic() < deadline, "it takes too long"
        await asyncio.sleep(1)


async def _histories(client: Client, query: str) -> list[tuple[int, int]]:
    found = []
    async for each in client.list_workflows(query):
        history = await client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
        found.append((len(history.events), sum(event.ByteSize() for event in history.events)))
    return found


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def bench(sizes: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each size."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="ferry-bench-") as folder, DevServer(Path(folder) / "temporal") as server:
        client = await Client.connect(server.address, data_converter=converter_of(TemporalConfig()))
        await register_search_attributes(server.address)
        common: dict[str, Any] = {"activities": QuickSteps().all(), "max_concurrent_activities": 200,
                                  "max_heartbeat_throttle_interval": timedelta(seconds=1)}  # fmt: skip
        workflows = Worker(client, task_queue=QUEUE, workflows=[MigrateFleet, MigrateVm], **common)
        async with workflows, Worker(client, task_queue=TRANSFER_QUEUE, **common):
            return [await measure(client, size) for size in sizes]


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    asked = parser.parse_args()
    rows = asyncio.run(bench([int(size) for size in asked.sizes.split(",")]))
    print(json.dumps(rows, indent=1) if asked.output == "json" else table(rows))


def table(rows: list[dict[str, Any]]) -> str:
    """A column for each size."""
    return "\n".join(f"{key:24}" + "".join(f"{row[key]:>12}" for row in rows) for key in (rows[0] if rows else ()))


if __name__ == "__main__":
    main()
