"""Asking for permits, and looking whether those live that hold some."""

import asyncio

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from contracts.capacity import Ask, CapacityState, HoldersAsked, HoldersGone
from contracts.names import ASKED, CAPACITY, CAPACITY_ID, QUEUE

AT_ONCE = 20
"""Workflows that are looked at."""


class PermitActivities:
    """``ask_for_permits``, ``see_holders``."""

    @activity.defn
    async def ask_for_permits(self, ask: Ask) -> None:
        """Tell the table, which begins with the first that asks; the answer comes as a signal."""
        await activity.client().start_workflow(
            CAPACITY, CapacityState(), id=CAPACITY_ID, task_queue=QUEUE, start_signal=ASKED, start_signal_args=[ask],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )  # fmt: skip

    @activity.defn
    async def see_holders(self, said: HoldersAsked) -> HoldersGone:
        """Which of them are over; who cannot be asked about is taken for living."""
        client, turns = activity.client(), asyncio.Semaphore(AT_ONCE)

        async def gone(workflow: str) -> bool:
            async with turns:
                activity.heartbeat()
                return await _is_over(client, workflow)

        answers = await asyncio.gather(*(gone(each) for each in said.workflows))
        return HoldersGone(workflows=tuple(name for name, over in zip(said.workflows, answers, strict=True) if over))


async def _is_over(client: Client, workflow: str) -> bool:
    try:
        described = await client.get_workflow_handle(workflow).describe()
    except RPCError as error:
        return error.status is RPCStatusCode.NOT_FOUND
    return described.status not in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW)
