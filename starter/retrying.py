"""`ferry retry`: an answer to a migration that waits; or another run of one that has ended, on what it copied."""

from datetime import timedelta
from typing import Any

from temporalio.client import Client, RPCError, WorkflowHandle, WorkflowQueryFailedError

from contracts.errors import FerryError
from contracts.messages import Retry
from contracts.names import STATUS, Message, Phase
from contracts.request import Adopted, MigrateVmRequest
from contracts.told import Report, Status
from starter.beginning import begin
from starter.failures import as_ferry_error
from starter.looking import look
from starter.seen import Seen
from starter.sending import send


async def retry(client: Client, workflow: str, said: Retry) -> str:
    """What came of it, in a few words.

    Raises:
        FerryError: refused; ``retry.impossible`` where what has ended cannot be gone on with.
    """
    seen = await look(client, workflow)
    if not seen.over:
        ack = await send(client, workflow, Message.RETRY, said)
        return f"{ack.message} (phase {ack.phase.value})"
    if said.from_phase != "initial-sync":
        raise FerryError(
            "message.wrong_phase",
            f"the migration of {seen.vm} has ended: {seen.outcome}; `--from initial-sync` goes on with what it copied",
        )
    adopted = adopted_from(seen)
    request = await _request(client, seen)
    in_force = await _in_force(client, seen)
    handle = await begin(client, request.model_copy(update={"adopt": adopted, **in_force}))
    return f"started {handle.id} again, on what {adopted.migration} has copied"


def adopted_from(seen: Seen) -> Adopted:
    """What a new run must know of it. Raises ``retry.impossible``."""
    report = seen.report or Report(outcome="failed")
    against = ""
    if report.outcome in ("done", "test-copy"):
        against = "it came to its good end"
    elif report.errand is None or report.epoch is None or not report.errand.store_id:
        against = "its report tells too little (it began under an older version, or before anything was copied)"
    elif not report.kept_vdis:
        against = "it left no disks on the target"
    elif _has_run(report):
        against = "its target has run (target.diverged)"
    if against or report.errand is None or report.epoch is None:
        raise FerryError("retry.impossible", f"{seen.workflow}: {against}")
    return Adopted(
        migration=report.errand.migration, store_id=report.errand.store_id, epoch=report.epoch, pass_no=report.pass_no
    )


def _has_run(report: Report) -> bool:
    """Whether its target ran. Where it was rolled back, the report tells no downtime: the source is on again."""
    if report.downtime_s is not None or report.error == "target.diverged":
        return True
    return any(each.decision == "rollback" and each.phase is not Phase.CUTOVER for each in report.decisions)


async def _in_force(client: Client, seen: Seen) -> dict[str, Any]:
    """Windows and bandwidth as `ferry limit` left them: a cutover keeps to them in the new run as well.

    Raises:
        FerryError: no worker tells.
    """
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(seen.workflow, run_id=seen.run)
    try:
        status: Status = await handle.query(STATUS, result_type=Status, rpc_timeout=timedelta(seconds=10))
    except (RPCError, WorkflowQueryFailedError) as error:
        raise as_ferry_error(error) from None
    return {"windows": status.windows, "bandwidth": status.bandwidth}


async def _request(client: Client, seen: Seen) -> MigrateVmRequest:
    """As it was asked for: it is in the first event of the run."""
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(seen.workflow, run_id=seen.run)
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        [given] = await client.data_converter.decode(payloads, [dict[str, Any]])
        known = {key: value for key, value in given.items() if key in MigrateVmRequest.model_fields}
        return MigrateVmRequest.model_validate(known)
    raise FerryError("retry.impossible", f"{seen.workflow}: its first event is gone; start it anew")
