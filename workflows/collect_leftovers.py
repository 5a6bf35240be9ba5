"""``CollectLeftovers``: what migrations that are over left behind is looked for, or removed, thing by thing."""

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

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
    from contracts.names import COLLECT_LEFTOVERS, QUEUE
    from workflows.stepping import failure_of
    from workflows.timing import HEARTBEAT, TIMINGS

# A person waits: some tries, then that thing is told to have failed, and the next is seen to.
_BRIEF = RetryPolicy(maximum_attempts=3)


@workflow.defn(name=COLLECT_LEFTOVERS, failure_exception_types=[ValidationError])
class CollectLeftovers:
    """Only workers reach the systems."""

    @workflow.run
    async def run(self, request: CollectRequest) -> CollectReport:
        """Look; or remove, one after the other, and tell what became of each."""
        if request.remove is None:
            return CollectReport(found=await self._look())
        ordered = sorted(request.remove, key=lambda each: (_place(each), each.item.id))
        return CollectReport(removed=tuple([await self._remove(each) for each in ordered]))

    async def _look(self) -> LeftoverReport:
        try:
            found: LeftoverReport = await workflow.execute_activity(
                "find_leftovers", LookForLeftovers(), result_type=LeftoverReport, task_queue=QUEUE,
                start_to_close_timeout=TIMINGS["find_leftovers"].limit, heartbeat_timeout=HEARTBEAT,
                retry_policy=_BRIEF,
            )  # fmt: skip
            return found
        except ActivityError as error:
            failed = failure_of(error)
            raise ApplicationError(failed.message, type=failed.code, non_retryable=True) from error

    async def _remove(self, said: RemoveLeftover) -> Removal:
        try:
            removal: Removal = await workflow.execute_activity(
                "remove_leftover", said, result_type=Removal, task_queue=QUEUE,
                start_to_close_timeout=TIMINGS["remove_leftover"].limit, heartbeat_timeout=HEARTBEAT,
                retry_policy=_BRIEF, summary=f"remove {said.item.kind} of {said.item.name}",
            )  # fmt: skip
            return removal
        except ActivityError as error:
            failed = failure_of(error)
            return Removal(id=said.item.id, outcome="failed", code=failed.code, message=failed.message)


def _place(said: RemoveLeftover) -> int:
    return ORDER.index(said.item.kind) if said.item.kind in ORDER else len(ORDER)
