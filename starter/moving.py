"""Having disks moved: the workflow ``MoveDisk``. One VM at a time."""

import asyncio

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from contracts.move_disk import MoveDiskReport, MoveDiskRequest
from contracts.names import MOVE_DISK, QUEUE
from starter.failures import as_ferry_error
from starter.polling import need_worker


async def move(client: Client, target: str, *, vm: str, sr: str, disk: str, who: str, site: str) -> MoveDiskReport:
    """Begin, and wait. Raises ``temporal.no_worker``, ``workflow.already_running``, and what the worker met."""
    await need_worker(client, site)
    try:
        handle: WorkflowHandle[object, MoveDiskReport] = await client.start_workflow(
            MOVE_DISK,
            MoveDiskRequest(target=target, vm=vm, sr=sr, disk=disk, who=who, site=site),
            id=f"move-disk/{target}/{vm}",
            task_queue=QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            result_type=MoveDiskReport,
            static_summary=f"{who} moves the disks of {vm} to {sr}"[:200],
        )
        return await asyncio.shield(handle.result())
    except Exception as error:
        raise as_ferry_error(error) from None
