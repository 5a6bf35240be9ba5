"""Asking the table of permits; where nobody ever asked for one, there is none."""

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from contracts.capacity import CapacityStatus
from contracts.names import CAPACITY_ID, STATUS


async def capacity_of(client: Client) -> CapacityStatus:
    """Who holds what, and who waits."""
    try:
        status: CapacityStatus = await client.get_workflow_handle(CAPACITY_ID).query(STATUS, result_type=CapacityStatus)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return CapacityStatus()
    return status
