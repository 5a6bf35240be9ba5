"""A question to a worker for a person who waits: a few tries, then the error by its code."""

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts.base import Contract, Request
    from contracts.names import QUEUE
    from contracts.sites import queue_of
    from workflows.stepping import Result, StepFailed, failure_of, site_of_this
    from workflows.timing import HEARTBEAT, TIMINGS


async def tried(
    name: str, said: Contract | Request, answer: type[Result], *, tries: int, summary: str | None = None
) -> Result:
    """One activity, tried so often: by another worker, where the first one died or has another store.

    Raises:
        StepFailed: with the code that the last try gave.
    """
    try:
        heard: Result = await workflow.execute_activity(
            name,
            said,
            result_type=answer,
            task_queue=queue_of(QUEUE, site_of_this()),
            start_to_close_timeout=TIMINGS[name].limit,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=RetryPolicy(maximum_attempts=tries),
            summary=summary,
        )
        return heard
    except ActivityError as error:
        raise failure_of(error) from error


async def asked(name: str, said: Contract | Request, answer: type[Result], *, tries: int) -> Result:
    """The same, where the answer is the workflow's.

    Raises:
        ApplicationError: which ends the workflow.
    """
    try:
        return await tried(name, said, answer, tries=tries)
    except StepFailed as failed:
        raise ApplicationError(failed.message, type=failed.code, non_retryable=True) from failed
