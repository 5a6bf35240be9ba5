"""What a human asks for when a migration is done: its source removed by a second yes, its disks moved to another SR."""

import asyncio
import contextlib
import copy
import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from contracts.names import MOVE_DISK, QUEUE, RETIRE_VM
from contracts.told import Report
from simulators.lab import Lab
from tests.chaos.judging import After, flats_of

RPC = timedelta(seconds=5)
TRIES = 2
"""What fails is mended and asked for once more."""


async def afterwards(client: Client, lab: Lab, report: Report, kind: str, mend: Callable[[], None]) -> After:
    """Have it done; when it fails, mend and try again.

    Args:
        kind: name of the workflow.
    """
    made = After(kind)
    machines = list(lab.vsphere.world.machines.values())
    if not machines:
        made.codes.append("the source was gone before anybody said yes")
        return made
    made.name = machines[0].name
    made.source = copy.deepcopy(lab.vsphere.state()[made.name])
    if made.source["power"] != "poweredOff":
        made.codes.append(f"the source is {made.source['power']}")
        return made
    kept = lab.folder / "as-it-was"
    kept.mkdir()
    for file in flats_of(lab):
        made.kept.append(Path(shutil.copy(file, kept / file.name)))
    said: dict[str, Any] = {
        RETIRE_VM: {"report": report.model_dump(mode="json"), "who": "chaos", "remove": True, "confirm": made.name},
        MOVE_DISK: {"target": "lab", "vm": report.target_vm, "sr": "sr2", "who": "chaos"},
    }[kind]
    for number in range(TRIES):
        code = await _asked(client, kind, f"{kind}/{report.migration}/{number}", said)
        if not code:
            made.done = True
            return made
        made.codes.append(code)
        mend()
    return made


async def _asked(client: Client, kind: str, name: str, said: dict[str, Any]) -> str:
    """The code with which it failed; empty: it did not."""
    handle = await _insist(
        lambda: client.start_workflow(
            kind, said, id=name, task_queue=QUEUE, rpc_timeout=RPC,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
    )  # fmt: skip
    while True:
        described = await _insist(lambda: handle.describe(rpc_timeout=RPC))
        if described.status is not WorkflowExecutionStatus.RUNNING:
            break
        await asyncio.sleep(0.1)

    async def result() -> str:
        try:
            await handle.result(rpc_timeout=RPC)
        except WorkflowFailureError as failure:
            cause = failure.cause
            return cause.type or "no code" if isinstance(cause, ApplicationError) else repr(cause)
        return ""

    return str(await _insist(result))


async def _insist(work: Callable[[], Awaitable[Any]]) -> Any:
    """The server is not there all the time."""
    while True:
        with contextlib.suppress(Exception):
            return await work()
        await asyncio.sleep(0.2)
