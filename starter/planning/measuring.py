"""How fast it went: rates for a rehearsal, from the reports of migrations that have ended."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from contracts.errors import FerryError
from contracts.migration import PassSummary
from contracts.names import MIGRATE_VM, Attribute
from contracts.told import Report
from starter.failures import as_ferry_error

MOST = 50
"""Reports that are read: the latest."""
AT_ONCE = 10
TELLING = 64 << 20
"""Bytes that a first pass must have sent: what is smaller tells of its preparations only."""
SMALL = 4 << 20
"""Bytes up to which a pass is all freeze, seal and thaw."""


@dataclass(frozen=True)
class Measured:
    """Medians. ``alone``: bytes a second of one VM; ``beside``: seconds of a pass beside its bytes, where it is known;
    ``migrations``: of how many."""

    alone: int
    beside: float | None
    migrations: int


async def measure(client: Client, source: str, target: str) -> Measured:
    """Of the latest that moved from there to there.

    Raises:
        FerryError: ``plan.not_measured``: there is none that tells.
    """
    query = (
        f"WorkflowType = '{MIGRATE_VM}' AND ExecutionStatus = 'Completed' AND "
        f"{Attribute.SOURCE.value} = {_quoted(source)} AND {Attribute.TARGET.value} = {_quoted(target)}"
    )
    try:
        ended = [(each.id, each.run_id) async for each in client.list_workflows(query, limit=MOST)]
    except RPCError as error:
        raise as_ferry_error(error) from None
    turns = asyncio.Semaphore(AT_ONCE)

    async def report_of(workflow: str, run: str) -> Report | None:
        async with turns:
            try:
                report: Report = await client.get_workflow_handle(workflow, run_id=run, result_type=Report).result()
            except (WorkflowFailureError, RPCError):
                return None
            return report

    reports = await asyncio.gather(*(report_of(*each) for each in ended))
    found = measured_of(each.pass_list for each in reports if each is not None)
    if found is None:
        raise FerryError(
            "plan.not_measured", f"none of {len(ended)} ended migrations from {source} to {target} copied enough"
        )
    return found


def measured_of(migrations: Iterable[tuple[PassSummary, ...]]) -> Measured | None:
    """Pure. None: nobody copied enough to tell."""
    known = [passes for passes in migrations if passes]
    small = [each.seconds for passes in known for each in passes[1:] if each.complete and each.bytes_sent <= SMALL]
    beside = median(small) if small else None
    rates = [
        first.bytes_sent / (first.seconds - (beside or 0.0))
        for first, *_ in known
        if first.complete and first.bytes_sent >= TELLING and first.seconds > (beside or 0.0)
    ]
    return Measured(int(median(rates)), beside, len(rates)) if rates else None


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
