"""Looking at one migration: the query ``status``, the heartbeats of its activities, or the report of its end."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import (
    Client,
    RPCError,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCStatusCode

from contracts.errors import FerryError
from contracts.names import STATUS, Attribute, Phase
from contracts.steps import Progress
from contracts.told import Report, Status
from starter.failures import as_ferry_error
from starter.seen import Execution, Seen, Working

ANSWER_WITHIN = 4.0
"""Seconds that a worker has to answer a query: an operator waits no longer."""
NOBODY_ANSWERS = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.CANCELLED)
"""What becomes of a query without a worker: "no poller seen for task queue recently" is a failed precondition."""

_EXECUTIONS = {
    WorkflowExecutionStatus.RUNNING: Execution.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: Execution.RUNNING,
    WorkflowExecutionStatus.COMPLETED: Execution.COMPLETED,
    WorkflowExecutionStatus.FAILED: Execution.FAILED,
    WorkflowExecutionStatus.CANCELED: Execution.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: Execution.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: Execution.TIMED_OUT,
}
REPORT = "report"
"""The query that a cancelled migration answers: it has no result."""
PHASE = SearchAttributeKey.for_keyword(Attribute.PHASE)


async def look(client: Client, workflow: str, *, answer_within: float = ANSWER_WITHIN) -> Seen:
    """What is to be known of the latest run of a workflow id now.

    A worker that does not answer is no error: the rest is told, and ``silence`` says so.

    Raises:
        FerryError: ``workflow.unknown``, ``temporal.unreachable``.
    """
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(workflow)
    try:
        described = await handle.describe(rpc_timeout=timedelta(seconds=10))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise FerryError("workflow.unknown", f"Temporal knows no workflow {workflow!r}") from None
        raise as_ferry_error(error) from None
    execution = _EXECUTIONS[described.status or WorkflowExecutionStatus.RUNNING]
    seen = Seen(
        workflow=workflow,
        run=described.run_id,
        execution=execution,
        began=described.start_time,
        ended=described.close_time,
        phase=described.typed_search_attributes.get(PHASE, ""),
    )
    if execution is Execution.RUNNING:
        return await _running(client, handle, described, seen, answer_within)
    return await _ended(client, handle, seen, answer_within)


async def _running(
    client: Client, handle: WorkflowHandle[Any, Any], described: WorkflowExecutionDescription, seen: Seen, wait: float
) -> Seen:
    working = await _working(client, described)
    status: Status | None = None
    silence: FerryError | None = None
    try:
        status = await _asked(handle, STATUS, Status, wait)
    except FerryError as error:
        if error.code == "temporal.payload_key_missing":
            raise
        silence = error
    approval = "manual"
    if status is not None and status.phase is Phase.AWAITING_APPROVAL:
        approval = await _approval(client, seen)
    return Seen(
        workflow=seen.workflow,
        run=seen.run,
        execution=seen.execution,
        approval=approval,
        began=seen.began,
        phase=status.phase.value if status else seen.phase,
        status=status,
        working=working,
        silence=silence,
    )


async def _ended(client: Client, handle: WorkflowHandle[Any, Any], seen: Seen, wait: float) -> Seen:
    report: Report | None = None
    silence: FerryError | None = None
    run = client.get_workflow_handle(seen.workflow, run_id=seen.run, result_type=Report)
    try:
        report = await run.result(follow_runs=False)
    except WorkflowFailureError as failure:
        report = _report_in(client, failure)
        told = as_ferry_error(failure)
        if report is None and seen.execution is Execution.CANCELLED:
            # A cancelled workflow has no result, but still answers when it is asked.
            try:
                report = await _asked(handle, REPORT, Report, wait)
            except FerryError as error:
                silence = error
                told = FerryError("migration.cancelled", "it was cancelled")
        if report is None:
            outcome = "cancelled" if seen.execution is Execution.CANCELLED else "failed"
            report = Report(outcome=outcome, vm=seen.vm, error=told.code, message=told.message)
    return Seen(
        workflow=seen.workflow,
        run=seen.run,
        execution=seen.execution,
        began=seen.began,
        ended=seen.ended,
        phase=report.outcome if report else seen.phase,
        report=report,
        silence=silence,
    )


async def _asked(handle: WorkflowHandle[Any, Any], query: str, answer: type[Any], wait: float) -> Any:
    try:
        return await asyncio.wait_for(
            handle.query(query, result_type=answer, rpc_timeout=timedelta(seconds=wait)), wait + 0.5
        )
    except TimeoutError:
        raise FerryError("temporal.no_worker", "no worker answers") from None
    except WorkflowQueryFailedError as error:
        raise FerryError("temporal.no_worker", f"the worker could not answer: {error}") from None
    except RPCError as error:
        if error.status in (*NOBODY_ANSWERS, RPCStatusCode.INVALID_ARGUMENT):
            raise FerryError("temporal.no_worker", error.message or "no worker answers") from None
        raise as_ferry_error(error) from None


def _report_in(client: Client, failure: WorkflowFailureError) -> Report | None:
    """A failed migration carries its report as the detail of its error."""
    cause: BaseException | None = failure.cause
    if not isinstance(cause, ApplicationError) or not cause.details:
        return None
    detail = cause.details[0]
    if isinstance(detail, Report):
        return detail
    return Report.model_validate(detail) if isinstance(detail, dict) and "outcome" in detail else None


async def _approval(client: Client, seen: Seen) -> str:
    """``manual`` or ``auto``, as the request said: it is in the first event, whoever started the workflow."""
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(seen.workflow, run_id=seen.run)
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        decoded = await client.data_converter.decode(payloads, [dict])
        return str(decoded[0].get("approval", "manual")) if decoded else "manual"
    return "manual"


async def _working(client: Client, described: WorkflowExecutionDescription) -> tuple[Working, ...]:
    found = [await _one(client, pending) for pending in described.raw_description.pending_activities]
    return tuple(sorted(found, key=lambda each: (each.disk, each.activity)))


async def _one(client: Client, pending: Any) -> Working:
    beat = Progress(disk="", step="")
    if pending.heartbeat_details.payloads:
        try:
            beat = (await client.data_converter.decode(pending.heartbeat_details.payloads, [Progress]))[0]
        except Exception:  # an activity that beats something else still works
            beat = Progress(disk="", step="")
    silent: float | None = None
    if pending.HasField("last_heartbeat_time"):
        last = pending.last_heartbeat_time.ToDatetime(tzinfo=UTC)
        silent = max(0.0, (datetime.now(UTC) - last).total_seconds())
    failure = pending.last_failure if pending.HasField("last_failure") else None
    said = await client.data_converter.decode_failure(failure) if failure else None
    return Working(
        activity=pending.activity_type.name,
        attempt=pending.attempt,
        disk=beat.disk,
        step=beat.step,
        done=beat.done,
        total=beat.total,
        in_flight=beat.in_flight,
        rate=beat.rate,
        silent_s=silent,
        failure_code=failure.application_failure_info.type if failure else "",
        failure=getattr(said, "message", ""),
    )
