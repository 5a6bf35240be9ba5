"""Having a worker look at the systems: the short workflow ``Inspect``."""

import uuid
from datetime import timedelta

from temporalio.client import Client

from contracts.errors import FerryError
from contracts.inspection import InspectReport, InspectRequest
from contracts.names import INSPECT, QUEUE
from starter.failures import as_ferry_error
from starter.polling import polled

PATIENCE = timedelta(minutes=2)
"""A vCenter with thousands of VMs answers within seconds; one that is down is told by its time-out."""


async def inspect(client: Client, request: InspectRequest) -> InspectReport:
    """Run ``Inspect`` and hear what it saw.

    Raises:
        FerryError: ``temporal.no_worker`` at once where none polls; what the worker met.
    """
    answered = await polled(client, QUEUE)
    if not answered.workers:
        raise FerryError("temporal.no_worker", answered.line)
    try:
        seen: InspectReport = await client.execute_workflow(
            INSPECT,
            request,
            id=f"inspect/{request.what}/{uuid.uuid4()}",
            task_queue=QUEUE,
            execution_timeout=PATIENCE,
            result_type=InspectReport,
            static_summary=f"ferry looks: {request.what}",
        )
    except Exception as error:
        raise as_ferry_error(error) from None
    return seen
