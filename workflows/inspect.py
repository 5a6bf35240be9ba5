"""``Inspect``: a question to a worker, asked by the command line."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.inspection import InspectReport, InspectRequest
    from contracts.names import INSPECT
    from workflows.asking import asked


@workflow.defn(name=INSPECT, failure_exception_types=[ValidationError])
class Inspect:
    """One activity, so that only workers hold secrets."""

    @workflow.run
    async def run(self, request: InspectRequest) -> InspectReport:
        """Ask, and answer."""
        self.site = request.site
        return await asked("inspect", request, InspectReport, tries=2)
