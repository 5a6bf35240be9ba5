"""Having a worker look at the systems: the short workflow ``Inspect``."""

import asyncio
import uuid
from datetime import timedelta

from temporalio.client import Client

from contracts.errors import FerryError
from contracts.inspection import InspectReport, InspectRequest
from contracts.names import INSPECT, QUEUE
from starter.failures import as_ferry_error
from starter.polling import need_worker, unpolled

PATIENCE = timedelta(minutes=2)
"""A vCenter with thousands of VMs answers within seconds; one that is down is told by its time-out."""
POLLED_WITHIN = 60.0
"""Seconds for a worker to come up where one was just started."""


async def wait_for_worker(client: Client, within: float) -> None:
    """Return when a worker polls both queues.

    Raises:
        FerryError: ``temporal.no_worker``.
    """
    deadline = asyncio.get_running_loop().time() + within
    while missing := await unpolled(client):
        if asyncio.get_running_loop().time() > deadline:
            raise FerryError("temporal.no_worker", f"no worker polls {' and '.join(map(repr, missing))}")
        await asyncio.sleep(0.1)


async def inspect(client: Client, request: InspectRequest) -> InspectReport:
    """Run ``Inspect`` and hear what it saw.

    Raises:
        FerryError: ``temporal.no_worker`` at once where none polls; what the worker met.
    """
    await need_worker(client, request.site)
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
