"""Having a worker assess an inventory: the workflow ``Assess``."""

import uuid
from datetime import timedelta

from temporalio.client import Client, WorkflowHandle

from checks import CHECKS
from contracts.assessment import Assessed, Assessment, AssessRequest, NotLooked, Page, Summary, notes_of, unpacked
from contracts.names import ASSESS, PAGE, QUEUE
from starter.failures import as_ferry_error
from starter.polling import need_worker

PATIENCE = timedelta(minutes=30)
"""5,000 VMs take a minute or two; a vCenter that is slow or goes away takes its time-outs."""


async def assess(client: Client, request: AssessRequest) -> Assessment:
    """Run ``Assess``, and gather its pages.

    Raises:
        FerryError: ``temporal.no_worker`` at once where none polls; what the worker met.
    """
    summary, rows = await looked(client, request)
    return _told(request, summary, rows)


async def looked(client: Client, request: AssessRequest) -> tuple[Summary, list[Assessed]]:
    """The same, as data: for a plan.

    Raises:
        FerryError: as above.
    """
    await need_worker(client, request.site)
    try:
        handle = await client.start_workflow(
            ASSESS,
            request,
            id=f"assess/{request.source or 'all'}/{uuid.uuid4()}",
            task_queue=QUEUE,
            execution_timeout=PATIENCE,
            result_type=Summary,
            static_summary=f"ferry assesses {request.source or 'all sources'}",
        )
        summary: Summary = await handle.result()
        rows = [row for number in range(summary.pages) for row in await _page(handle, number)]
    except Exception as error:
        raise as_ferry_error(error) from None
    return summary, rows


async def _page(handle: WorkflowHandle[object, Summary], number: int) -> tuple[Assessed, ...]:
    page: Page = await handle.query(PAGE, number, result_type=Page)
    return unpacked(page)


def _told(request: AssessRequest, summary: Summary, rows: list[Assessed]) -> Assessment:
    sources = ", ".join(sorted({row.source for row in rows})) or request.source or "all sources"
    target = summary.target
    lacks = []
    if target is None:
        codes = tuple(rule.code for rule in CHECKS.values() if rule.group == "placement")
        lacks.append(NotLooked(codes=codes, why="no target was named: nothing was asked of a pool (--target NAME)"))
    return Assessment(
        origin=f"vSphere {sources}",
        target=f"pool {target.pool}, SR {target.sr_name or 'none'}" if target is not None else "",
        totals=summary.totals,
        notes=notes_of(summary.totals, templates=summary.templates, target=target),
        not_looked_at=tuple(lacks),
        machines=tuple(rows),
    )
