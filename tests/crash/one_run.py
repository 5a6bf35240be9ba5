"""One run of the campaign: a migration with every detour there is, under fire; then the judge looks.

A snapshot that fails and is thawed, a read-back while the source runs, a cutover that is undone at the pre-start
snapshot and approved again, a start, a rollback; then a second migration of the same VM to its good end.
"""

import asyncio
import random
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, RPCError, WorkflowHandle, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.contrib.pydantic import pydantic_data_converter

from contracts.names import Message, Phase
from contracts.told import Report, Status
from starter.beginning import begin, request_of
from tests.crash.aiming import Orders
from tests.crash.judging import judge
from tests.crash.lives import Kill, Lives
from tests.end_to_end.running import Programs, programs

MIB = 1 << 20
SEGMENT = 4 * MIB
DISK_MIB = (40, 24)
INVENTORY = """
vsphere:
  datastores: [{{name: nfs1, type: NFS}}]
  vms:
    - name: web01
      firmware: efi
      power: on
      nics: [{{network: VM Network, mac: "00:50:56:aa:00:01"}}]
      disks:
        - {{image: disk0.raw, datastore: nfs1, unit: 0}}
        - {{image: disk1.raw, datastore: nfs1, unit: 1}}
      guest: {{tools: running, writes_mib_per_s: 1, shutdown_seconds: 0.5, seed: {seed}}}
xcpng:
  srs: [{{name: local-ext, type: ext, size_gib: 64}}]
  networks: [{{name: lan}}]
"""
PATIENCE = 600.0
ASKED = {
    "vsphere.snapshot_failed": {"method": "CreateSnapshot_Task!", "action": "task-fault", "argument": "SnapshotFault"},
    "xapi.sr_full": {"method": "VM.snapshot", "action": "error", "argument": ["SR_FULL", "0", "0"]},
}
"""What a human is asked about on the way, and the trouble in the lab that makes it so."""


@dataclass
class Result:
    """What a run came to. ``wrong``: sentences; empty when all is as it must be."""

    kills: list[Kill] = field(default_factory=list)
    sent: int = 0
    sent_again: int = 0
    allowed_again: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    aims_missed: list[str] = field(default_factory=list)


async def one_run(orders: Orders, folder: Path, address: str, namespace: str) -> Result:
    """Play it to the end, and judge it."""
    began = asyncio.get_running_loop().time()
    inventory = _inventory(folder, orders.seed)
    client = await Client.connect(address, namespace=namespace, data_converter=pydantic_data_converter)
    with programs(folder, address, namespace) as running:
        await asyncio.to_thread(running.lab, inventory)
        lives = Lives(running, client, "migrate/vsphere/web01", orders)
        keeping = asyncio.create_task(lives.keep())
        try:
            reports = await asyncio.wait_for(_unless(keeping, _play(client, running)), PATIENCE)
            await _until_all_is_told(client)
        finally:
            lives.over = True
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        result = Result(kills=lives.kills, aims_missed=[aim["activity"] for aim in lives.aims_left])
        result.sent = sum(report.bytes_sent for report in reports)
        result.sent_again = sum(report.bytes_sent_again for report in reports)
        result.allowed_again = SEGMENT * sum(kill.hit.count("copy_disk") for kill in lives.kills)
        result.wrong = judge(running, reports)
        if result.sent_again > result.allowed_again:
            result.wrong.append(f"{result.sent_again} bytes were sent again, {result.allowed_again} may be")
        if not lives.kills:
            result.wrong.append("the worker was never killed")
    result.seconds = asyncio.get_running_loop().time() - began
    return result


async def _play(client: Client, running: Programs) -> list[Report]:
    """Both migrations; their reports."""
    # No time for the whole proof in the downtime: the disks are read back from snapshots while the source runs.
    migration = await _start(client, approval="manual", downtime_budget="31s", max_passes=3)
    # A pool so slow that a kill falls into a PUT, and not only between two of them.
    running.xapi("faults", method="PUT /import_raw_vdi", action="slow", argument=5 * MIB, count=-1)
    await _until(migration, lambda status: status.phase not in (Phase.PREFLIGHT, Phase.SHELL))
    running.vcenter("faults", **ASKED["vsphere.snapshot_failed"], count=-1)
    await _ask(migration, running, "vsphere.snapshot_failed")
    await _until_phase(migration, Phase.AWAITING_APPROVAL)
    running.xapi("faults", **ASKED["xapi.sr_full"], count=-1)
    await _approve(migration)
    await _ask(migration, running, "xapi.sr_full")
    await _until_phase(migration, Phase.AWAITING_APPROVAL)
    # The second proof shall not be over before somebody says rollback.
    running.vcenter("faults", method="GET /folder", action="delay", delay=0.3, count=-1)
    await _approve(migration)
    while [event for event in running.xapi("power") if event[2] == "Running"] == []:
        await asyncio.sleep(0.02)
    running.mend()
    running.vcenter("faults", method="GET /folder", action="http", argument=503, count=-1)
    status = await _until(migration, lambda status: status.started_at is not None and status.phase is Phase.START)
    while True:
        since = status.started_at.isoformat() if status.started_at else ""
        try:
            await _say(migration, Message.ROLLBACK, {"who": "crash", "lose_target_writes_since": since})
            break
        except Exception as error:  # the start was asked for anew, and with it the time
            if "lose_target_writes_since" not in str(error.__cause__):
                raise
            status = await _status(migration)
    rolled_back = await _report(migration)
    running.mend()
    again = await _start(client, approval="auto")
    return [rolled_back, await _report(again)]


async def _start(client: Client, **more: Any) -> WorkflowHandle[Any, Any]:
    return await begin(
        client,
        request_of(
            {
                "source": "vsphere",
                "vm": "web01",
                "target": "lab",
                "segment_bytes": SEGMENT,
                "delta_interval": "2s",
                "downtime_budget": "90s",
                **more,
            }
        ),
    )


async def _ask(migration: WorkflowHandle[Any, Any], running: Programs, code: str) -> None:
    """Wait until a human is asked for that, mend it, and say retry."""
    await _until(migration, lambda status: status.needs_human == code)
    running.mend()
    await _say(migration, Message.RETRY, {"who": "crash"})


async def _approve(migration: WorkflowHandle[Any, Any]) -> None:
    status = await _status(migration)
    await _say(migration, Message.APPROVE, {"approval_ticket": status.approval_ticket, "who": "crash"})


async def _say(migration: WorkflowHandle[Any, Any], message: Message, said: dict[str, Any]) -> None:
    """An update under one id, until a worker lives long enough to hear it."""
    once = str(uuid.uuid4())
    while True:
        try:
            await migration.execute_update(message.value, said, id=once, rpc_timeout=timedelta(seconds=15))
        except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError):
            await asyncio.sleep(0.1)
        else:
            return


async def _status(migration: WorkflowHandle[Any, Any]) -> Status:
    while True:
        try:
            status: Status = await migration.query("status", result_type=Status, rpc_timeout=timedelta(seconds=5))
        except (RPCError, TimeoutError):
            await asyncio.sleep(0.1)
        else:
            return status


async def _until(migration: WorkflowHandle[Any, Any], wanted: Any) -> Status:
    while not wanted(status := await _status(migration)):
        if status.phase in (Phase.DONE, Phase.FAILED, Phase.CANCELLED, Phase.ROLLED_BACK):
            raise AssertionError(f"it ended too early: {status.phase} {status.message}")
        await asyncio.sleep(0.05)
    return status


async def _until_phase(migration: WorkflowHandle[Any, Any], phase: Phase) -> None:
    def there(status: Status) -> bool:
        if status.needs_human:
            raise AssertionError(f"a human is asked: {status.needs_human} {status.message}")
        return status.phase is phase

    await _until(migration, there)


async def _report(migration: WorkflowHandle[Any, Any]) -> Report:
    return Report.model_validate(await migration.result())


async def _until_all_is_told(client: Client) -> None:
    """A worker that was killed when it had done its last deed needs a moment for what it owes."""
    await asyncio.sleep(0.2)


async def _unless(other: "asyncio.Task[None]", work: Any) -> Any:
    """Do the work, unless the other ends first: then what it says is what matters."""
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.wait({doing, other}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            other.result()
            raise AssertionError("the worker's keeper ended too early")
        return doing.result()
    finally:
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


def _inventory(folder: Path, seed: int) -> Path:
    chance = random.Random(seed)
    for number, size in enumerate(DISK_MIB):
        content = bytearray(size * MIB)
        for at in range(0, size - 4, 8):  # five of eight MiB hold data
            content[at * MIB : (at + 5) * MIB] = chance.randbytes(5 * MIB)
        content = content[: size * MIB]
        content[-512:] = chance.randbytes(512)
        (folder / f"disk{number}.raw").write_bytes(content)
    file = folder / "inventory.yaml"
    file.write_text(INVENTORY.format(seed=seed))
    return file
