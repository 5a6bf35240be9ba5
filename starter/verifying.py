"""Having a finished migration proven again: the workflow ``VerifyVm``."""

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from contracts.errors import FerryError
from contracts.names import QUEUE, VERIFY_VM
from contracts.verification import VerifyReport, VerifyRequest
from starter.failures import as_ferry_error
from starter.looking import look
from starter.polling import need_worker, site_of


async def verify(client: Client, workflow: str) -> VerifyReport:
    """Begin it, or wait for the one that is under way.

    Args:
        workflow: id of the migration.

    Raises:
        FerryError: ``verify.not_done`` where the migration is not done; ``temporal.no_worker``; what a worker met.
    """
    seen = await look(client, workflow)
    if seen.report is None or seen.report.outcome != "done":
        raise FerryError("verify.not_done", f"{workflow} {f'ended {seen.outcome}' if seen.over else 'still runs'}")
    await need_worker(client, site_of(seen.report))
    try:
        handle = await client.start_workflow(
            VERIFY_VM,
            VerifyRequest(report=seen.report),
            id=f"verify/{workflow.removeprefix('migrate/')}",
            task_queue=QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            result_type=VerifyReport,
            static_summary=f"ferry verifies {seen.report.vm}",
        )
        found: VerifyReport = await handle.result()
    except Exception as error:
        raise as_ferry_error(error) from None
    return found
