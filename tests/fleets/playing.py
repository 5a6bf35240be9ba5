"""A fleet moved by the real worker, killed on the way, with a server that is killed as well."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, RPCError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

import worker
from contracts.fleet import FleetAck, FleetReport, FleetStatus
from contracts.fleet_rows import FleetMembers, MemberRow
from contracts.names import MEMBERS, MIGRATE_FLEET, QUEUE
from contracts.told import Report
from starter.temporal_server import DevServer
from tests.end_to_end.running import Programs
from tests.fleets.inventory import HOSTS, Installation

RPC = timedelta(seconds=10)
SPEED = 10
"""Of the lab's clocks: an export that a killed worker left open is over after five minutes."""


@dataclass
class Played:
    """What came of it.

    Attributes:
        began: when it was asked for.
        seconds: from the request to the report.
        rows: as the fleet tells of its members in the end.
        reports: of those that came through.
        histories: by workflow id, each run's events and bytes.
        asked: VM to the code of what a human was asked about.
        kept: VDIs that stay of the one that was called off.
        most_copying: as the fleet told it, at once.
        most_cutting: the same, of cutovers.
    """

    report: FleetReport
    seconds: float
    began: datetime = datetime.min
    rows: dict[str, MemberRow] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    histories: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    most_copying: int = 0
    most_cutting: int = 0


class Playing:
    """One fleet, from its start to its report."""

    def __init__(self, running: Programs, server: DevServer, made: Installation, seconds: float) -> None:
        self._running, self._server, self._made = running, server, made
        self._deadline = time.monotonic() + seconds
        self._fleet: WorkflowHandle[Any, Any]
        self._played = Played(FleetReport(outcome="failed", fleet=""), 0.0)
        self._killed = self._restarted = self._called_off = False

    async def play(self) -> Played:
        """A person approves the first wave once all of it asks, and calls off the guest that does not shut down."""
        client = await Client.connect(self._server.address, data_converter=pydantic_data_converter)
        await worker.register_search_attributes(client)
        began, self._played.began = time.monotonic(), datetime.now(UTC)
        name = f"fleet/{self._made.request['fleet']}"
        self._fleet = await client.start_workflow(
            MIGRATE_FLEET, self._made.request, id=name, task_queue=QUEUE, result_type=FleetReport
        )
        while not (await self._seen(self._look)):
            assert time.monotonic() < self._deadline, "it takes too long"
            await asyncio.sleep(0.5)
        self._played.report = await self._fleet.result()
        self._played.seconds = time.monotonic() - began
        stubborn = client.get_workflow_handle(f"migrate/vsphere/{self._made.stubborn}")
        self._played.kept = set((await stubborn.query("report", result_type=Report)).kept_vdis)
        await self._read_histories(client)
        told = await self._fleet.query(MEMBERS, result_type=FleetMembers)
        self._played.rows = {row.vm: row for row in told.members}
        for vm in self._made.good:
            done = client.get_workflow_handle(f"migrate/vsphere/{vm}", result_type=Report)
            self._played.reports[vm] = await done.result()
        return self._played

    async def _seen(self, look: Callable[[], Any]) -> bool:
        try:
            return bool(await look())
        except RPCError:  # the server is being restarted, or there is no worker just now
            return False

    async def _look(self) -> bool:
        status = await self._fleet.query("status", result_type=FleetStatus, rpc_timeout=RPC)
        played, made = self._played, self._made
        played.most_copying = max(played.most_copying, status.copying)
        played.most_cutting = max(played.most_cutting, status.cutting_over)
        played.asked |= status.needs_human
        done = status.standing.get("done", 0)
        if not self._killed and done >= len(made.good) // 5:
            self._killed = True
            os.killpg(self._running.worker_now.pid, signal.SIGKILL)
            await asyncio.to_thread(self._running.worker)
        elif not self._restarted and done >= len(made.good) // 2:
            self._restarted = True
            await asyncio.to_thread(self._server.kill)
            await asyncio.to_thread(self._server.start)
        first = status.waves[0]
        running = first.members - sum(first.standing.get(each, 0) for each in ("failed", "cancelled", "done"))
        if running and first.asks == running:
            await self._say("approve", waves=[first.name])
        if made.stubborn in status.needs_human and not self._called_off:
            self._called_off = bool((await self._say("cancel", vms=[made.stubborn])).taken)
        return status.over

    async def _say(self, what: str, **said: Any) -> FleetAck:
        return await self._fleet.execute_update(what, {"who": "ann", **said}, result_type=FleetAck, rpc_timeout=RPC)

    async def _read_histories(self, client: Client) -> None:
        async for each in client.list_workflows():
            history = await client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
            size = sum(event.ByteSize() for event in history.events)
            self._played.histories.setdefault(each.id, []).append((len(history.events), size))


def play(folder: Path, running: Programs, server: DevServer, made: Installation, seconds: float) -> Played:
    """In a loop of its own."""
    running.lab(folder / "inventory.yaml", speed=SPEED)
    addresses = ", ".join(f'"{host}" = "127.0.0.2"' for host in HOSTS)  # in this lab one door serves all of them
    config = running.config.read_text().replace('kind = "vsphere"\n', f'kind = "vsphere"\nhosts = {{ {addresses} }}\n')
    limits = "".join(f'"{name}" = {limit}\n' for name, limit in made.limits.items())
    running.config.write_text(f"{config}\n[capacity.named]\n{limits}")
    running.worker()
    return asyncio.run(Playing(running, server, made, seconds).play())
