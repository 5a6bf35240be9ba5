"""``ReadRecord``: a page of a migration's record, read from the store by a worker."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.names import READ_RECORD
    from contracts.record import ReadRecord, RecordPage
    from workflows.asking import asked


@workflow.defn(name=READ_RECORD, failure_exception_types=[ValidationError])
class ReadRecordWorkflow:
    """One activity, since only workers reach the store; another worker may be the one that has it."""

    @workflow.run
    async def run(self, request: ReadRecord) -> RecordPage:
        """Read, and answer."""
        self.site = request.site
        return await asked("read_record", request, RecordPage, tries=5)
