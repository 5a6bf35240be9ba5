"""``CollectLeftovers``: what migrations that are over left behind is looked for, or removed, thing by thing."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.leftovers import (
        ORDER,
        CollectReport,
        CollectRequest,
        LeftoverReport,
        LookForLeftovers,
        Removal,
        RemoveLeftover,
    )
    from contracts.names import COLLECT_LEFTOVERS
    from workflows.asking import asked, tried
    from workflows.stepping import StepFailed

_TRIES = 3


@workflow.defn(name=COLLECT_LEFTOVERS, failure_exception_types=[ValidationError])
class CollectLeftovers:
    """Only workers reach the systems."""

    @workflow.run
    async def run(self, request: CollectRequest) -> CollectReport:
        """Look; or remove, one after the other, and tell what became of each."""
        self.site = request.site
        if request.remove is None:
            return CollectReport(found=await asked("find_leftovers", LookForLeftovers(), LeftoverReport, tries=_TRIES))
        ordered = sorted(request.remove, key=lambda each: (_place(each), each.item.id))
        return CollectReport(removed=tuple([await self._remove(each) for each in ordered]))

    async def _remove(self, said: RemoveLeftover) -> Removal:
        """What fails is told, and the next is seen to."""
        summary = f"remove {said.item.kind} of {said.item.name}"
        try:
            return await tried("remove_leftover", said, Removal, tries=_TRIES, summary=summary)
        except StepFailed as failed:
            return Removal(id=said.item.id, outcome="failed", code=failed.code, message=failed.message)


def _place(said: RemoveLeftover) -> int:
    return ORDER.index(said.item.kind) if said.item.kind in ORDER else len(ORDER)
