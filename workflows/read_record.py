"""``ReadRecord``: a page of a migration's record, read from the store by a worker."""

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.names import QUEUE, READ_RECORD
    from contracts.record import ReadRecord, RecordPage
    from workflows.stepping import failure_of
    from workflows.timing import HEARTBEAT, TIMINGS

# A person waits for the answer; several tries, since another worker may be the one that has the store.
_BRIEF = RetryPolicy(maximum_attempts=5)


@workflow.defn(name=READ_RECORD, failure_exception_types=[ValidationError])
class ReadRecordWorkflow:
    """One activity, since only workers reach the store."""

    @workflow.run
    async def run(self, request: ReadRecord) -> RecordPage:
        """Read, and answer."""
        try:
            page: RecordPage = await workflow.execute_activity(
                "read_record",
                request,
                result_type=RecordPage,
                task_queue=QUEUE,
                start_to_close_timeout=TIMINGS["read_record"].limit,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=_BRIEF,
            )
            return page
        except ActivityError as error:
            failed = failure_of(error)
            raise ApplicationError(failed.message, type=failed.code, non_retryable=True) from error
