"""Asking the table of permits; where nobody ever asked for one, there is none."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from contracts.capacity import CapacityStatus
from contracts.errors import FerryError
from contracts.names import CAPACITY_ID, STATUS
from starter.looking import NOBODY_ANSWERS

ANSWER_WITHIN = timedelta(seconds=10)


async def capacity_of(client: Client) -> CapacityStatus:
    """Who holds what, and who waits.

    Raises:
        FerryError: ``temporal.no_worker`` where nobody answers.
    """
    handle = client.get_workflow_handle(CAPACITY_ID)
    try:
        status: CapacityStatus = await handle.query(STATUS, result_type=CapacityStatus, rpc_timeout=ANSWER_WITHIN)
    except RPCError as error:
        if error.status in NOBODY_ANSWERS:
            raise FerryError("temporal.no_worker", error.message or "no worker answers") from None
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return CapacityStatus()
    return status
