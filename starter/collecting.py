"""Having a worker look for what was left behind, and remove it."""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client

from contracts.errors import FerryError
from contracts.leftovers import CollectReport, CollectRequest, Leftover, LeftoverReport, RemoveLeftover
from contracts.names import COLLECT_LEFTOVERS, QUEUE
from starter.failures import as_ferry_error
from starter.polling import need_worker

PATIENCE = timedelta(minutes=30)
"""A look. A removal has no end set: consolidations take hours, and go on without this terminal."""


async def found(client: Client, site: str = "") -> LeftoverReport:
    """All that bears a mark of Ferry, as far as the workers of a site see it.

    Raises:
        FerryError: ``temporal.no_worker``, ``temporal.unreachable``, what the worker met.
    """
    return (await _asked(client, CollectRequest(site=site), PATIENCE)).found


async def removed(client: Client, items: Sequence[RemoveLeftover], site: str = "") -> CollectReport:
    """Remove what was listed."""
    return await _asked(client, CollectRequest(remove=tuple(items), site=site), None)


def chosen(items: Sequence[Leftover], ids: Sequence[str], data: Sequence[str]) -> list[RemoveLeftover]:
    """What to remove of what was found: all leftovers, or what is named. Pure.

    Raises:
        FerryError: ``gc.unknown_item`` for an id that is not there; ``gc.needs_yes`` for data that is not named as
            such; ``gc.owner_lives``.
    """
    by_id = {each.id: each for each in items}
    for name in (*ids, *data):
        item = by_id.get(name)
        if item is None:
            raise FerryError("gc.unknown_item", f"nothing that was left behind has the id {name!r}")
        if item.sort == "living":
            raise FerryError("gc.owner_lives", f"{name}: {item.reason}")
        if item.sort == "keep" or (item.sort == "data" and name not in data):
            raise FerryError("gc.needs_yes", f"{name}: {item.reason}")
    if not ids and not data:
        return [RemoveLeftover(item=each) for each in items if each.sort == "leftover"]
    return [RemoveLeftover(item=by_id[name], named=True, data=name in data) for name in dict.fromkeys((*ids, *data))]


async def _asked(client: Client, request: CollectRequest, patience: timedelta | None) -> CollectReport:
    await need_worker(client, request.site)
    try:
        report: CollectReport = await client.execute_workflow(
            COLLECT_LEFTOVERS, request, id=f"gc/{uuid.uuid4()}", task_queue=QUEUE, execution_timeout=patience,
            result_type=CollectReport, static_summary="ferry gc",
        )  # fmt: skip
    except Exception as error:
        raise as_ferry_error(error) from None
    return report
