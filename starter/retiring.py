"""Retiring the source of a finished migration, or removing it: the workflow ``RetireVm``."""

import asyncio

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from contracts.errors import FerryError
from contracts.names import QUEUE, RETIRE_VM
from contracts.retirement import RetireReport, RetireRequest
from starter.failures import as_ferry_error
from starter.looking import look
from starter.polling import need_worker, site_of
from starter.seen import Seen


async def finished(client: Client, workflow: str) -> Seen:
    """The migration, which must be done. Raises ``retire.refused``."""
    seen = await look(client, workflow)
    if seen.report is None or seen.report.outcome != "done":
        raise FerryError("retire.refused", f"{workflow} is {seen.outcome}: only the source of a done one is retired")
    return seen


async def retire(client: Client, seen: Seen, *, who: str, note: str, remove: bool, confirm: str) -> RetireReport:
    """Have it done, and wait for it.

    Raises:
        FerryError: ``retire.refused``, ``workflow.already_running``, ``temporal.no_worker``; what a worker met.
    """
    assert seen.report is not None
    await need_worker(client, site_of(seen.report))
    said = RetireRequest(report=seen.report, who=who, note=note, remove=remove, confirm=confirm)
    try:
        handle: WorkflowHandle[object, RetireReport] = await client.start_workflow(
            RETIRE_VM,
            said,
            id=f"retire/{seen.workflow.removeprefix('migrate/')}",
            task_queue=QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            result_type=RetireReport,
            static_summary=f"{who} {'removes' if remove else 'retires'} the source of {seen.report.vm}"[:200],
        )
        return await asyncio.shield(handle.result())
    except Exception as error:
        raise as_ferry_error(error) from None
