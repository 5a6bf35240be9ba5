"""One run: a migration by the real worker, a fault at one activity, a human who mends what they are asked about."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from contracts.names import ACCEPTED_IN, MOVE_DISK, Message, Phase
from contracts.told import Report, Status
from simulators.faults import FaultRule
from simulators.inventory import load_inventory
from simulators.lab import Lab
from starter.beginning import begin, request_of
from starter.temporal_server import DevServer
from tests.chaos.afterwards import afterwards
from tests.chaos.aim import Aim, step_of, worker_here
from tests.chaos.arming import Armed
from tests.chaos.grid import Orders
from tests.chaos.judging import After, Verdict, judge, meeting_others
from tests.chaos.roads import LATE, ROADS, SPEED
from tests.end_to_end.running import BIN, ROOT

MIB = 1 << 20
PATIENCE = 240.0
"""Seconds, after which a run that has not ended is wrong."""
SPEED_OF_AN_HOUR = 1200
"""An hour is three seconds then."""
MOST_ANSWERS = 8
DEED_TRIES = 5
WAY_BACK = ("block_target", "thaw", "unfence_source", "raise_source_epoch", "power_on_source")
"""Steps of a way back, up to the one that brings the source on again."""
INVENTORY = """
vsphere:
  datastores: [{{name: ds1, type: {datastore}}}]
  vms:
    - name: web01
      power: on
      nics: [{{network: VM Network, mac: "00:50:56:aa:00:01"}}]
      disks: [{disks}]
      guest: {{tools: running, writes_mib_per_s: 0.5, shutdown_seconds: {shutdown_seconds}, shutdown_burst_mib: 0.25,
              seed: {seed}}}
{vm}xcpng:
  hosts: [{hosts}]
  srs: [{{name: sr1, type: nfs, size_gib: 64}}{sr}]
  networks: [{{name: lan}}]
"""


@dataclass
class Result:
    """What a run came to, in words that fit a line of JSON."""

    seed: int
    activity: str
    side: str
    fault: str
    route: str
    struck: int = 0
    outcome: str = ""
    code: str = ""
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """``violation``, ``done_equal`` or ``safe_failed``."""
        return "violation" if self.wrong else "done_equal" if self.outcome == "done" else "safe_failed"


async def one_run(orders: Orders, folder: Path, server: DevServer) -> Result:
    """Play it to its end, and judge it. The server may have died and be back when it returns."""
    cell = orders.cell
    result = Result(orders.seed, cell.activity, cell.side, cell.fault, orders.route)
    began = time.monotonic()
    inventory = load_inventory(_inventory(folder, orders))
    speed = SPEED_OF_AN_HOUR if cell.fault == "removal of an hour" else SPEED
    with Lab(inventory, folder / "lab", speed=speed) as lab:
        if orders.route == "checksum":
            lab.xapi.faults.add(FaultRule("GET /export_raw_vdi*", "http", argument=404, count=-1))
        if orders.route == "a freeze that fails":  # when its snapshot is there
            lab.vsphere.faults.add(FaultRule("RefreshStorageInfo", "fault", argument="RestrictedVersion"))
        if orders.route == "undone after diverged":  # a human must give the account its rights back
            wire = ["RBAC_PERMISSION_DENIED", "vm.remove_from_blocked_operations", "No permission in user session"]
            lab.xapi.faults.add(FaultRule("VM.remove_from_blocked_operations", "error", argument=wire))
        run = _Run(orders, lab, folder, server, result)
        try:
            await asyncio.wait_for(run.play(), PATIENCE)
        except TimeoutError:
            result.wrong.append(f"it has not ended after {PATIENCE:.0f} s: {run.last_told()}")
        except Exception as error:
            result.wrong.append(f"{type(error).__name__}: {error}")
        result.struck = run.struck
        if run.report is not None:
            verdict: Verdict = judge(lab, run.report, result.asked, orders.route, run.after)
            result.asked += run.after.codes if run.after is not None else []
            result.outcome, result.code = verdict.outcome, verdict.code
            result.wrong += verdict.wrong
    result.seconds = round(time.monotonic() - began, 1)
    return result


class _Run:
    def __init__(self, orders: Orders, lab: Lab, folder: Path, server: DevServer, result: Result) -> None:
        self._orders, self._lab, self._folder, self._server, self._result = orders, lab, folder, server, result
        self._aim = Aim(self._begins, self._ends)
        self._armed: Armed | None = None
        self._killed = 0
        self._status: Status | None = None
        self._deed_done = False
        self._migration: WorkflowHandle[Any, Any] | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._road = ROADS[orders.route]
        self._given_up_at: float | None = None
        self.report: Report | None = None
        self.after: After | None = None

    @property
    def struck(self) -> int:
        return self._killed if self._armed is None else self._armed.struck

    def last_told(self) -> str:
        told = self._status
        return f"{told.phase} {told.needs_human} {told.message} {told.next_step}" if told else "it was never heard of"

    # -- at the activity

    async def _begins(self, name: str, before: int) -> None:
        orders = self._orders
        self._arm(name, before)
        if orders.cell.side != "server" and self._migration is not None:
            for _ in range(DEED_TRIES):  # the step waits for it; on a machine that is busy it is tried again
                with contextlib.suppress(Exception):
                    await self._deed(self._migration)
                    break

    def _arm(self, name: str, before: int) -> None:
        orders = self._orders
        if name != orders.cell.activity or before != orders.occurrence or self._armed or self._killed:
            return
        if orders.cell.side == "server":
            self._killed += 1
            self._restarting = asyncio.ensure_future(self._restart_server())
        elif orders.cell.side != "worker":
            self._armed = Armed(self._lab, orders)

    def _ends(self, name: str) -> None:
        if self._armed is not None and name == self._orders.cell.activity:
            self._armed.activity_ended()

    async def _restart_server(self) -> None:
        await asyncio.sleep(self._orders.moment * 0.3)
        await asyncio.to_thread(self._server.kill)
        await asyncio.sleep(self._orders.seconds)
        await asyncio.to_thread(self._server.start)

    def _mend(self) -> None:
        if self._armed is not None:
            self._armed.mend()

    # -- the whole

    async def play(self) -> None:
        client = await Client.connect(self._server.address, data_converter=pydantic_data_converter)
        working = self._killed_worker() if self._orders.cell.side == "worker" else worker_here(
            self._server.address, self._lab.config_file, self._aim
        )  # fmt: skip
        migration = None
        try:
            async with working:
                migration = self._migration = await begin(client, self._request())
                if self._orders.route == "rollback":  # the last proof shall not be over before somebody says so
                    self._lab.vsphere.faults.add(FaultRule("GET /folder", delay=0.05, count=-1))
                await self._until_over(migration)
                self.report = await migration.query("report", result_type=Report, rpc_timeout=timedelta(seconds=20))
                if self._road.afterwards and self.report.outcome == "done":
                    self.after = await afterwards(client, self._lab, self.report, self._road.afterwards, self._mend)
        finally:
            if self._armed is not None:
                self._armed.mend()
            if self._restarting is not None:
                await self._restarting
            if self.report is None and migration is not None:
                with contextlib.suppress(Exception):
                    await migration.terminate("the run is over", rpc_timeout=timedelta(seconds=10))

    def _request(self) -> Any:
        return request_of(
            {
                "source": "vsphere", "vm": "web01", "target": "lab", "segment_bytes": 4 * MIB, "delta_interval": "1s",
                "approval": "auto", "max_passes": 3, "downtime_budget": "90s", **self._road.request,
            }
        )  # fmt: skip

    async def _until_over(self, migration: WorkflowHandle[Any, Any]) -> None:
        while True:
            await asyncio.sleep(0.03)
            try:
                await self._deed(migration)
                await asyncio.sleep(0.2)
                described = await migration.describe(rpc_timeout=timedelta(seconds=3))
                if described.status is not WorkflowExecutionStatus.RUNNING:
                    return
                status: Status = await migration.query("status", result_type=Status, rpc_timeout=timedelta(seconds=3))
                self._status = status
                self._result.wrong += meeting_others(self._lab)
                await self._look(migration, status)
            except AssertionError:
                raise
            except Exception:  # neither the worker nor the server answers all the time
                continue

    async def _deed(self, migration: WorkflowHandle[Any, Any]) -> None:
        """What the route wants besides."""
        begun, road = self._aim.begun, self._road
        if self._deed_done:
            return
        if road.cancelled_in and begun[road.cancelled_in]:
            self._deed_done = True
            try:
                await migration.cancel(rpc_timeout=timedelta(seconds=3))
            except Exception:
                self._deed_done = False
                raise
        elif road.rolled_back_in and begun[road.rolled_back_in]:
            self._deed_done = True
            try:
                await self._roll_back(migration)
            except WorkflowUpdateFailedError:  # it came too late, and is not said again
                self._result.said.append("rollback, too late")
            except Exception as error:
                self._deed_done = isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND  # it is over
                raise

    async def _roll_back(self, migration: WorkflowHandle[Any, Any]) -> None:
        status: Status = await migration.query("status", result_type=Status, rpc_timeout=timedelta(seconds=3))
        since = status.started_at.isoformat() if status.started_at else ""
        await self._say(migration, Message.ROLLBACK, {"who": "chaos", "lose_target_writes_since": since})

    async def _look(self, migration: WorkflowHandle[Any, Any], status: Status) -> None:
        asked, said = self._result.asked, self._result.said
        if self._waits_for_the_guest(status):
            return
        if status.needs_human:
            asked.append(status.needs_human)
            if len(said) >= MOST_ANSWERS:
                raise AssertionError(f"asked again and again: {asked}")
            self._see_who_is_asked(status)
            if self._armed is not None:
                self._armed.mend()
            if status.needs_human == "internal":
                self._result.wrong.append(f"a human is asked about `internal`: {status.message}")
            if self._orders.answer == "cancel" and not said:
                said.append("rollback" if status.started_at else "cancel")
                if status.started_at:
                    await self._roll_back(migration)
                else:
                    await migration.cancel(rpc_timeout=timedelta(seconds=3))
                await asyncio.sleep(0.5)
            else:
                said.append("retry")
                await self._say(migration, Message.RETRY, {"who": "chaos"})
        elif self._road.tested and not status.test_boots:
            if status.phase in ACCEPTED_IN[Message.TEST_BOOT] and not status.test_boot:
                await self._say(migration, Message.TEST_BOOT, {"who": "chaos", "within": "20s"})
        elif status.phase is Phase.AWAITING_APPROVAL and not status.approved_by and (asked or self._road.tested):
            await self._say(migration, Message.APPROVE, {"approval_ticket": status.approval_ticket, "who": "chaos"})

    def _waits_for_the_guest(self, status: Status) -> bool:
        """A human who sees the guest at work lets it; who cancels does so at some moment, about when it goes off."""
        if self._orders.route != "late shutdown" or status.needs_human != "source.shutdown_timeout":
            return False
        self._given_up_at = self._given_up_at or time.monotonic()
        patience = 2 + 8 * self._orders.number if self._orders.answer == "cancel" else 4 * LATE
        return time.monotonic() < self._given_up_at + patience

    def _see_who_is_asked(self, status: Status) -> None:
        """A human is asked with the source running as before, unless it is the way back itself that they must mend."""
        machine, step = self._lab.vsphere.world.vm("web01"), self._aim.last
        excused = step in WAY_BACK or (step == "source_goes_off" and self._orders.route == "late shutdown")
        if status.started_at is None and machine.power != "poweredOn" and not excused:
            self._result.wrong.append(f"{status.needs_human} is asked at {step} with the source {machine.power}")

    async def _say(self, migration: WorkflowHandle[Any, Any], message: Message, said: dict[str, Any]) -> None:
        await migration.execute_update(message.value, said, rpc_timeout=timedelta(seconds=10))

    # -- a worker that is killed

    @contextlib.asynccontextmanager
    async def _killed_worker(self) -> AsyncIterator[None]:
        """A process, killed at the activity, and one that follows it."""
        orders, folder = self._orders, self._folder
        log, aims = folder / "activities.jsonl", folder / "aims.json"
        log.touch()
        within = 0.0 if orders.moment < 0.3 else (orders.moment - 0.3) * 0.5
        aims.write_text(json.dumps([{"activity": orders.cell.activity, "skip": orders.occurrence, "within": within}]))
        environment = {**os.environ, "TEMPORAL_ADDRESS": self._server.address, "TEMPORAL_NAMESPACE": "default"}

        def start() -> "subprocess.Popen[bytes]":
            with (folder / "worker.log").open("ab") as told:
                return subprocess.Popen(
                    [BIN / "python", "-m", "tests.crash.worker_under_fire", aims, log, "--config",
                     self._lab.config_file], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=told,
                    stderr=told,
                )  # fmt: skip

        process = start()

        async def follow() -> None:
            nonlocal process
            while True:
                await asyncio.sleep(0.02)
                lines = [json.loads(line) for line in log.read_text().splitlines()]
                ids = {(each["activity"], each["id"].rpartition("/")[0]) for each in lines if each["event"] == "begin"}
                for each in lines:
                    if each["event"] == "begin":
                        self._aim.last = step_of(each["activity"], self._aim.last)
                for name in {name for name, _ in ids}:
                    self._aim.begun[name] = sum(1 for each, _ in ids if each == name)
                if process.poll() not in (None, -signal.SIGKILL):
                    self._result.wrong.append(
                        f"the worker ended by itself: {(folder / 'worker.log').read_text()[-800:]}"
                    )
                    return
                if process.poll() is not None:
                    self._killed += 1
                    aims.write_text("[]")
                    process = start()

        following = asyncio.create_task(follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 20)
            except subprocess.TimeoutExpired:
                process.kill()


def _inventory(folder: Path, orders: Orders) -> Path:
    chance = random.Random(orders.seed)
    for number in range(orders.disks):
        content = bytearray(16 * MIB)
        for at in range(0, 16, 4):
            content[at * MIB : (at + 2) * MIB] = chance.randbytes(2 * MIB)
        content[-512:] = chance.randbytes(512)
        (folder / f"disk{number}.raw").write_bytes(content)
    road = ROADS[orders.route]
    hosts = 2 if orders.cell.fault == "master changed" else 1
    file = folder / "inventory.yaml"
    file.write_text(
        INVENTORY.format(
            seed=orders.seed,
            datastore=orders.datastore,
            shutdown_seconds=road.shutdown_seconds,
            vm="".join(f"      {key}: {json.dumps(value)}\n" for key, value in road.vm.items()),
            sr=", {name: sr2, type: nfs, size_gib: 64}" if road.afterwards == MOVE_DISK else "",
            disks=", ".join(f"{{image: disk{each}.raw, datastore: ds1, unit: {each}}}" for each in range(orders.disks)),
            hosts=", ".join(f"{{name: xcp{each + 1}}}" for each in range(hosts)),
        )
    )
    return file


def as_line(result: Result, code: str) -> str:
    """A line of the results file."""
    return json.dumps({**asdict(result), "verdict": result.verdict, "code_version": code})
