"""``Inspect``: a question to a worker, asked by the command line."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.inspection import InspectReport, InspectRequest
    from contracts.names import INSPECT, QUEUE
    from workflows.stepping import failure_of
    from workflows.timing import HEARTBEAT, TIMINGS

# A person waits for the answer: two tries, then the error.
_BRIEF = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=2)


@workflow.defn(name=INSPECT, failure_exception_types=[ValidationError])
class Inspect:
    """One activity, so that only workers hold secrets."""

    @workflow.run
    async def run(self, request: InspectRequest) -> InspectReport:
        """Ask, and answer."""
        try:
            report: InspectReport = await workflow.execute_activity(
                "inspect",
                request,
                result_type=InspectReport,
                task_queue=QUEUE,
                start_to_close_timeout=TIMINGS["inspect"].limit,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=_BRIEF,
            )
            return report
        except ActivityError as error:
            failed = failure_of(error)
            raise ApplicationError(failed.message, type=failed.code, non_retryable=True) from error
