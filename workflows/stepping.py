"""Ordering one activity by its name, and hearing how it failed."""

from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, RetryState, TimeoutError
from temporalio.workflow import ActivityCancellationType, ActivityHandle

with workflow.unsafe.imports_passed_through():
    from contracts.base import Contract
    from contracts.error_catalogue import entry
    from contracts.errors import FerryError, Remedy
    from contracts.sites import queue_of
    from workflows.timing import HEARTBEAT, PATIENT, TIMINGS

Result = TypeVar("Result")


CALLED_OFF = "migration.cancelled"
"""The code of an activity that was called off before it came to anything."""


class StepFailed(Exception):
    """A step ended without success, and will not by itself."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def asks(self) -> bool:
        """Whether a human can mend it."""
        return entry(self.code).remedy is Remedy.ASK


def site_of_this() -> str:
    """Whose workers take the activities of the workflow that asks."""
    return str(getattr(workflow.instance(), "site", ""))


def order(
    name: str, said: Contract, answer: type[Result], *, summary: str = "", give_up_after: timedelta | None = None
) -> ActivityHandle[Result]:
    """Schedule an activity. Cancelling its handle cuts it; it is still waited for (temporal.md §7.10)."""
    timing = TIMINGS[name]
    queue = queue_of(timing.queue, site_of_this())
    handle: ActivityHandle[Result] = workflow.start_activity(
        name,
        said,
        result_type=answer,
        task_queue=queue,
        start_to_close_timeout=timing.limit,
        schedule_to_close_timeout=give_up_after,
        heartbeat_timeout=HEARTBEAT if timing.beats else None,
        retry_policy=PATIENT,
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=summary or name.replace("_", " "),
    )
    record = getattr(getattr(workflow.instance(), "story", None), "record", None)
    if record is not None:  # of a migration, every command is on record
        record.step(name, said, handle)
    return handle


async def heard(handle: ActivityHandle[Result]) -> Result:
    """Wait for an activity.

    Raises:
        StepFailed: with the code that the activity gave.
    """
    try:
        return await handle
    except ActivityError as error:
        raise failure_of(error) from error


def failure_of(error: ActivityError) -> StepFailed:
    """What an activity's error says, in our codes."""
    cause = error.cause
    for_good = isinstance(cause, ApplicationError) and cause.non_retryable
    if error.retry_state is RetryState.CANCEL_REQUESTED and not for_good:
        # It would have been tried again, had nobody called it off: an unreachable pool, a worker that died.
        return StepFailed(CALLED_OFF, f"{error.activity_type} was called off")
    if isinstance(cause, ApplicationError):
        return StepFailed(cause.type or "internal", cause.message)
    if isinstance(cause, CancelledError):
        return StepFailed(CALLED_OFF, f"{error.activity_type} was called off")
    if isinstance(cause, TimeoutError):
        inner = cause.cause
        if isinstance(inner, ApplicationError):
            return StepFailed(inner.type or "internal", inner.message)
        return StepFailed("internal", f"{error.activity_type} took too long")
    return StepFailed("internal", f"{error.activity_type}: {cause}")


def as_failure(refused: FerryError) -> ApplicationError:
    """What is said no to, as Temporal tells it to whoever asked."""
    return ApplicationError(refused.message, type=refused.code, non_retryable=True)
