"""Asking for permits, and looking whether those live that hold some."""

import asyncio

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from contracts.capacity import Ask, CapacityConfig, CapacityState, HoldersAsked, HoldersGone
from contracts.names import ASKED, CAPACITY, CAPACITY_ID, QUEUE

AT_ONCE = 20
"""Workflows that are looked at."""


class PermitActivities:
    """``ask_for_permits``, ``see_holders``."""

    def __init__(self, capacity: CapacityConfig) -> None:
        self._capacity = capacity

    @activity.defn
    async def ask_for_permits(self, ask: Ask) -> None:
        """Tell the table, which begins with the first that asks; the answer comes as a signal.

        The limits are those that hold now: a migration may have been begun when there were others.
        """
        ask = ask.model_copy(update={"limits": self._capacity.limits_of(ask.limits)})
        await activity.client().start_workflow(
            CAPACITY, CapacityState(), id=CAPACITY_ID, task_queue=QUEUE, start_signal=ASKED, start_signal_args=[ask],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )  # fmt: skip

    @activity.defn
    async def see_holders(self, said: HoldersAsked) -> HoldersGone:
        """Which of them are over; who cannot be asked about is taken for living."""
        client, turns = activity.client(), asyncio.Semaphore(AT_ONCE)

        async def gone(workflow: str, run: str) -> bool:
            async with turns:
                activity.heartbeat()
                return await _is_over(client, workflow, run)

        answers = await asyncio.gather(*(gone(*each) for each in said.workflows.items()))
        return HoldersGone(workflows=tuple(name for name, over in zip(said.workflows, answers, strict=True) if over))


async def _is_over(client: Client, workflow: str, run: str) -> bool:
    try:
        described = await client.get_workflow_handle(workflow).describe()
    except RPCError as error:
        return error.status is RPCStatusCode.NOT_FOUND
    first = described.raw_description.workflow_execution_info.first_run_id
    return described.status is not WorkflowExecutionStatus.RUNNING or (bool(first) and first != run)
