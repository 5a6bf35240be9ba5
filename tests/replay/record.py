"""Records histories from real programs: ``python -m tests.replay.record VERSION``.

For each release that changes what the workflow does: run it once, commit what it writes, never rewrite what is there.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from contracts.names import MIGRATE_VM, QUEUE, Phase
from contracts.told import Report, Status
from starter.temporal_server import DevServer
from tests.end_to_end.running import Programs, programs

HISTORIES = Path(__file__).parent / "histories"
SUMS = HISTORIES / "SHA256SUMS"
KINDS = ("plain", "crash", "rollback", "cancel", "continue-as-new", "failed-activity")
INVENTORY = """
vsphere:
  datastores: [{name: nfs1, type: NFS}]
  vms:
VMS
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""
VM = """    - name: KIND
      power: on
      nics: [{network: VM Network, mac: "00:50:56:aa:00:NUMBER"}]
      disks: [{size_mib: 48, datastore: nfs1}, {size_mib: 4, datastore: nfs1, unit: 1}]
      guest: {tools: running, writes_mib_per_s: 2, shutdown_seconds: 0.2}
"""


class Scene:
    """One kind of history: a VM of that name, and the programs around it."""

    def __init__(self, client: Client, running: Programs, kind: str) -> None:
        self.client, self.running, self.kind = client, running, kind
        self.handle: WorkflowHandle[Any, Any]

    async def start(self, **more: Any) -> None:
        said = {"source": "vsphere", "vm": self.kind, "target": "lab", "delta_interval": "1s", **more}
        self.handle = await self.client.start_workflow(
            MIGRATE_VM, said, id=f"migrate/vsphere/{self.kind}", task_queue=QUEUE
        )

    async def until(self, wanted: Callable[[Status], bool]) -> Status:
        for _ in range(1200):
            try:
                status: Status = await self.handle.query("status", result_type=Status)
                if wanted(status):
                    return status
            except Exception:
                pass
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.kind}: it never came")

    async def say(self, name: str, **said: Any) -> None:
        await self.handle.execute_update(name, {"who": "recorder", **said})

    async def approve(self) -> None:
        status = await self.until(lambda status: status.phase is Phase.AWAITING_APPROVAL and not status.needs_human)
        await self.say("approve", approval_ticket=status.approval_ticket)

    async def ends(self, outcome: str) -> None:
        report = Report.model_validate(await self.handle.result())
        assert report.outcome == outcome, report


async def plain(scene: Scene) -> None:
    await scene.start()
    await scene.approve()
    await scene.ends("done")


async def crash(scene: Scene) -> None:
    scene.running.xapi("faults", method="PUT /import_raw_vdi", action="slow", argument=1 << 20, count=-1)
    await scene.start(approval="auto")
    await scene.until(lambda status: status.phase is Phase.INITIAL_SYNC)
    while not scene.running.xapi("left")["dom0_vbds"]:
        await asyncio.sleep(0.02)
    scene.running.worker_now.kill()
    scene.running.mend()
    scene.running.worker()
    await scene.ends("done")


async def rollback(scene: Scene) -> None:
    await scene.start()
    await scene.until(lambda status: status.phase is Phase.AWAITING_APPROVAL)
    scene.running.vcenter("faults", method="GET /folder", action="delay", delay=0.5, count=-1)
    await scene.approve()
    while not any(name == scene.kind and state == "Running" for _, name, state in scene.running.xapi("power")):
        await asyncio.sleep(0.02)
    scene.running.mend()
    scene.running.vcenter("faults", method="GET /folder", action="http", argument=503, count=-1)
    await asyncio.sleep(1)
    status = await scene.until(lambda status: status.phase is Phase.START and status.started_at is not None)
    await scene.say("rollback", lose_target_writes_since=status.started_at.isoformat() if status.started_at else "")
    await scene.ends("rolled-back")
    scene.running.mend()


async def cancel(scene: Scene) -> None:
    await scene.start()
    await scene.until(lambda status: status.phase is Phase.AWAITING_APPROVAL)
    await scene.handle.cancel()
    await scene.until(lambda status: status.phase is Phase.CANCELLED)


async def continue_as_new(scene: Scene) -> None:
    """Begun with 48 of its 50 passes counted: a run of fifty would be a megabyte."""
    await scene.start(state={"passes_this_run": 48})
    await scene.until(lambda status: status.runs == 2)
    await scene.approve()
    await scene.ends("done")


async def failed_activity(scene: Scene) -> None:
    await scene.start()
    await scene.until(lambda status: status.phase is Phase.AWAITING_APPROVAL)
    scene.running.vcenter("faults", method="CreateSnapshot_Task!", action="task-fault", argument="SnapshotFault")
    await scene.until(lambda status: bool(status.needs_human))
    await scene.say("retry")
    await scene.approve()
    await scene.ends("done")


SCENES: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "plain": plain, "crash": crash, "rollback": rollback, "cancel": cancel, "continue-as-new": continue_as_new,
    "failed-activity": failed_activity,
}  # fmt: skip


async def record(version: str) -> None:
    """Play all kinds, and write what is not there yet."""
    taken = [kind for kind in KINDS if list(HISTORIES.glob(f"{version}-{kind}*"))]
    if taken:
        raise SystemExit(f"{version} has {', '.join(taken)} already; a committed history is never rewritten")
    with tempfile.TemporaryDirectory() as scratch:
        vms = "".join(VM.replace("KIND", kind).replace("NUMBER", f"{at:02}") for at, kind in enumerate(KINDS))
        inventory = Path(scratch) / "inventory.yaml"
        inventory.write_text(INVENTORY.replace("VMS", vms))
        with DevServer(Path(scratch) / "temporal") as server, programs(Path(scratch), server.address) as running:
            running.lab(inventory)
            running.worker()
            client = await Client.connect(server.address, data_converter=pydantic_data_converter)
            for kind in KINDS:
                await SCENES[kind](Scene(client, running, kind))
                await _write(client, version, kind)
                print(f"{kind} is recorded", file=sys.stderr, flush=True)


async def _write(client: Client, version: str, kind: str) -> None:
    """Every run of that workflow, the oldest first."""
    workflow = f"migrate/vsphere/{kind}"
    runs = [each async for each in client.list_workflows(f"WorkflowId = '{workflow}'")]
    runs.sort(key=lambda each: each.start_time)
    for number, each in enumerate(runs, 1):
        history = await client.get_workflow_handle(workflow, run_id=each.run_id).fetch_history()
        events = [json.dumps(_scrubbed(event)) for event in json.loads(history.to_json())["events"]]
        name = f"{version}-{kind}{f'-run-{number}' if len(runs) > 1 else ''}.json"
        text = f'{{"workflowId": "{workflow}", "events": [\n' + ",\n".join(events) + "\n]}\n"
        (HISTORIES / name).write_text(text)
        with SUMS.open("a") as sums:
            sums.write(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n")


def _scrubbed(event: Any) -> Any:
    """Without names of the machine that it was recorded on: of processes, sticky queues, and in stack traces."""
    if isinstance(event, dict):
        said = {"identity": "recorder", "stackTrace": ""}
        return {key: said[key] if key in said else _scrubbed(value) for key, value in event.items()}
    if isinstance(event, list):
        return [_scrubbed(each) for each in event]
    return re.sub(r"\d+@[\w.-]+", "recorder", event) if isinstance(event, str) else event


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="of the release, such as 0.1.0")
    asyncio.run(record(parser.parse_args().version))
    sys.stdout.flush()
    os._exit(0)
