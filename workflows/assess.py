"""``Assess``: the preflight checks over a whole inventory, for `ferry assess`."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.assessment import AssessRequest, Inventory, Page, PageOrder, Summary, Totals
    from contracts.base import Contract, Request
    from contracts.names import ASSESS, PAGE, QUEUE
    from workflows.stepping import Result, failure_of
    from workflows.timing import HEARTBEAT, TIMINGS

MACHINES_A_PAGE = 200
"""A few seconds of a vCenter's time, and some 10 KiB of history: 5,000 VMs are 25 pages."""
# A person waits for the answer; a page that a dead worker held is begun again by the next.
_BRIEF = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3)


@workflow.defn(name=ASSESS, failure_exception_types=[ValidationError])
class Assess:
    """One activity a page, so that no answer is larger than Temporal carries. The rows are asked for by query."""

    def __init__(self) -> None:
        self._pages: list[Page] = []

    @workflow.run
    async def run(self, request: AssessRequest) -> Summary:
        """Find the VMs, look at them page by page, and add up."""
        found = await self._ask("find_machines", request, Inventory)
        for source, refs in found.machines.items():
            for start in range(0, len(refs), MACHINES_A_PAGE):
                some = refs[start : start + MACHINES_A_PAGE]
                said = PageOrder(source=source, refs=some, request=request, target=found.target)
                self._pages.append(await self._ask("assess_machines", said, Page))
        totals = Totals()
        for page in self._pages:
            totals = totals.plus(page.totals)
        return Summary(totals=totals, pages=len(self._pages), templates=found.templates, target=found.target)

    @workflow.query(name=PAGE)
    def page(self, number: int) -> Page:
        """One of the pages of rows, from 0."""
        return self._pages[number]

    async def _ask(self, name: str, said: Contract | Request, answer: type[Result]) -> Result:
        try:
            heard: Result = await workflow.execute_activity(
                name,
                said,
                result_type=answer,
                task_queue=QUEUE,
                start_to_close_timeout=TIMINGS[name].limit,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=_BRIEF,
            )
            return heard
        except ActivityError as error:
            failed = failure_of(error)
            raise ApplicationError(failed.message, type=failed.code, non_retryable=True) from error
