"""Fetching a migration's record: its end from the workflow, the rest from the store through a worker."""

import uuid
from datetime import timedelta

from temporalio.client import Client

from contracts.errors import FerryError
from contracts.names import QUEUE, READ_RECORD, RECORD
from contracts.record import Entry, ReadRecord, RecordEnd, RecordPage
from starter.failures import as_ferry_error
from starter.polling import need_worker, need_workflows

PATIENCE = timedelta(minutes=5)


async def record_of(client: Client, workflow: str) -> list[Entry]:
    """All entries, in order.

    Raises:
        FerryError: ``record.none``; ``record.broken``; ``temporal.no_worker``; what a worker met.
    """
    handle = client.get_workflow_handle(workflow)
    await need_workflows(client)  # at once: the query would wait for half a minute
    try:
        state = await handle.query(RECORD, result_type=RecordEnd)
        await need_worker(client, state.site)
        if not state.count:
            raise FerryError("record.none", f"{workflow} kept no record")
        stored = state.pending[0] if state.pending else None
        head = stored.prev if stored else state.head
        known: list[Entry] = []
        while len(known) < state.count - len(state.pending):
            page = await client.execute_workflow(
                READ_RECORD,
                ReadRecord(migration=state.migration, store_id=state.store_id, head=head, after=len(known),
                           site=state.site),
                id=f"record/{uuid.uuid4()}", task_queue=QUEUE, execution_timeout=PATIENCE, result_type=RecordPage,
                static_summary=f"ferry reads the record of {workflow}",
            )  # fmt: skip
            if not page.entries:
                raise FerryError("record.broken", f"the store has {page.total} entries of {state.count}")
            known += page.entries
    except Exception as error:
        raise as_ferry_error(error) from None
    return [*known, *state.pending]
