"""``MoveDisk``: a running VM's disks go to another SR, which cures a VHD whose journal is lost (field.md row 104)."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.move_disk import MoveDiskReport, MoveDiskRequest
    from contracts.names import MOVE_DISK
    from workflows.stepping import StepFailed, heard, order


@workflow.defn(name=MOVE_DISK, failure_exception_types=[ValidationError])
class MoveDisk:
    """One activity; what goes on meanwhile, XAPI's task tells in Xen Orchestra."""

    @workflow.run
    async def run(self, request: MoveDiskRequest) -> MoveDiskReport:
        """Move, and tell."""
        self.site = request.site
        said: Any = request  # a person's request, as it is
        summary = f"{request.who} moves the disks of {request.vm} to {request.sr}"
        try:
            return await heard(order("move_disks", said, MoveDiskReport, summary=summary))
        except StepFailed as failure:
            raise ApplicationError(failure.message, type=failure.code, non_retryable=True) from failure
