"""``Assess``: the preflight checks over a whole inventory, for `ferry assess`."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.assessment import AssessRequest, Inventory, Page, PageOrder, Summary, Totals
    from contracts.names import ASSESS, PAGE
    from workflows.asking import asked

MACHINES_A_PAGE = 200
"""A few seconds of a vCenter's time, and some 10 KiB of history: 5,000 VMs are 25 pages."""
_TRIES = 3
"""A page that a dead worker held is begun again by the next."""


@workflow.defn(name=ASSESS, failure_exception_types=[ValidationError])
class Assess:
    """One activity a page, so that no answer is larger than Temporal carries. The rows are asked for by query."""

    def __init__(self) -> None:
        self._pages: list[Page] = []

    @workflow.run
    async def run(self, request: AssessRequest) -> Summary:
        """Find the VMs, look at them page by page, and add up."""
        self.site = request.site
        found = await asked("find_machines", request, Inventory, tries=_TRIES)
        request = request.model_copy(update={"vms": ()})  # the names of thousands, which each page would carry
        for source, refs in found.machines.items():
            for start in range(0, len(refs), MACHINES_A_PAGE):
                some = refs[start : start + MACHINES_A_PAGE]
                said = PageOrder(source=source, refs=some, request=request, target=found.target)
                self._pages.append(await asked("assess_machines", said, Page, tries=_TRIES))
        totals = Totals()
        for page in self._pages:
            totals = totals.plus(page.totals)
        return Summary(
            totals=totals, pages=len(self._pages), templates=found.templates, target=found.target,
            capacity=found.capacity, bandwidth=found.bandwidth,
        )  # fmt: skip

    @workflow.query(name=PAGE)
    def page(self, number: int) -> Page:
        """One of the pages of rows, from 0."""
        return self._pages[number]
