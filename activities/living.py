"""Whether the migrations of a fleet still run: one listing, and a closer look at those that it has not."""

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from contracts.names import FLEET, Attribute
from contracts.notices import LivingAnswer, LivingOrder


class LivingActivities:
    """``members_gone``."""

    @activity.defn
    async def members_gone(self, order: LivingOrder) -> LivingAnswer:
        """Visibility may be late, so who is missing in it is asked for by name."""
        client = activity.client()
        name = order.fleet.removeprefix(FLEET).replace("'", "")
        query = f"{Attribute.FLEET.value} = '{name}' AND ExecutionStatus = 'Running'"
        running = {each.id async for each in client.list_workflows(query)}
        gone = []
        for workflow in order.workflows:
            if workflow in running:
                continue
            try:
                seen = await client.get_workflow_handle(workflow).describe()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                gone.append(workflow)
            else:
                if seen.status is not WorkflowExecutionStatus.RUNNING:
                    gone.append(workflow)
        return LivingAnswer(gone=tuple(gone))
