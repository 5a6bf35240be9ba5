"""What Temporal's exceptions say, in our codes."""

from pydantic import ValidationError
from temporalio.client import (
    RPCError,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    FailureError,
    TerminatedError,
    TimeoutError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCStatusCode

from contracts.errors import FerryError
from starter.failures import is_known

_SILENT = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)


def told_by_temporal(error: BaseException) -> FerryError | None:
    """The error as one of ours; None when it is none of Temporal's."""
    if isinstance(error, WorkflowAlreadyStartedError):
        return FerryError("workflow.already_running", f"{error.workflow_id} runs already")
    if isinstance(error, WorkflowFailureError | WorkflowUpdateFailedError):
        return _failure(error.cause)
    if isinstance(error, WorkflowUpdateRPCTimeoutOrCancelledError):
        return FerryError("temporal.no_worker", "no worker answered the message in time; it may still be heard")
    if isinstance(error, WorkflowQueryFailedError | WorkflowQueryRejectedError):
        return FerryError("internal", f"the query failed: {error}")
    if isinstance(error, RPCError):
        return _of_rpc(error)
    if isinstance(error, FailureError):
        return _failure(error)
    return None


def _of_rpc(error: RPCError) -> FerryError:
    if error.status is RPCStatusCode.NOT_FOUND:
        return FerryError("workflow.unknown", error.message)
    if error.status in _SILENT:
        return FerryError("temporal.unreachable", error.message or error.status.name)
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return FerryError("request.invalid", error.message)
    if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        return FerryError("temporal.refused", error.message or error.status.name)
    return FerryError("internal", f"Temporal: {error.status.name}: {error.message}")


def _failure(cause: BaseException | None) -> FerryError:
    """The innermost cause that has one of our codes, else the first that has words."""
    first = cause
    while cause is not None:
        if isinstance(cause, ApplicationError):
            if is_known(cause.type):
                return FerryError(str(cause.type), cause.message)
            if cause.type == ValidationError.__name__:
                return FerryError("request.invalid", cause.message)
        if isinstance(cause, CancelledError):
            return FerryError("migration.cancelled", cause.message or "it was cancelled")
        cause = cause.__cause__
    if isinstance(first, TimeoutError):
        return FerryError("temporal.no_worker", first.message or "it took too long")
    if isinstance(first, TerminatedError):
        return FerryError("internal", f"it was terminated: {first.message}")
    return FerryError("internal", str(first))
