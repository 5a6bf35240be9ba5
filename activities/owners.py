"""Whether the owner of a mark lives: Temporal is asked, and the store tells whose those are that Temporal forgot.

A mark may be of another Ferry, with a namespace and a store of its own. So dead is only who was known here: Temporal
has the run, or the store has its record. Where Temporal cannot be asked, nothing is known (never guessed).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from contracts.errors import FerryError
from contracts.names import VERIFY_VM
from contracts.verification import VerifyRequest
from disks.record_journal import all_entries
from disks.store import Store


@dataclass(frozen=True)
class Owner:
    """``state``: living, over or unknown. ``outcome``: how it ended, where that is known."""

    state: str
    ended: datetime | None = None
    outcome: str = ""
    workflow: str = ""


class Owners:
    """Answers are kept: one asks of many things of one migration."""

    def __init__(self, client: Client, store: Store) -> None:
        self._client, self._store = client, store
        self._known: dict[tuple[str, str], Owner] = {}
        self._stored: set[str] | None = None
        self._verifying: set[str] | None = None

    async def of(self, migration: str, workflow: str) -> Owner:
        """Who that is.

        Raises:
            FerryError: ``temporal.unreachable``: then nothing may be taken for dead.
        """
        if not migration:
            return Owner("unknown")
        key = (migration, workflow)
        if key not in self._known:
            try:
                self._known[key] = await self._judged(migration, workflow)
            except RPCError as error:
                raise FerryError("temporal.unreachable", f"is {workflow or migration} over? {error.message}") from None
        return self._known[key]

    async def _judged(self, migration: str, workflow: str) -> Owner:
        workflow = workflow or await self._workflow_of(migration)
        if migration in await self._being_verified():
            return Owner("living", workflow=workflow, outcome="its proofs are being made again")
        first = await self._described(workflow, migration) if workflow else None
        if first is None:
            return self._remembered(migration, workflow)
        if first.status is WorkflowExecutionStatus.RUNNING:
            return Owner("living", workflow=workflow)
        if first.status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
            last = await self._described(workflow, None)
            if last is None:
                return Owner("unknown", workflow=workflow)
            chain = last.raw_description.workflow_execution_info.first_run_id
            if last.status is WorkflowExecutionStatus.RUNNING and chain in (migration, ""):
                return Owner("living", workflow=workflow)
            return Owner("over", last.close_time if chain == migration else first.close_time, "", workflow)
        return Owner("over", first.close_time, first.status.name.lower() if first.status else "", workflow)

    async def _described(self, workflow: str, run: str | None) -> Any:
        try:
            return await self._client.get_workflow_handle(workflow, run_id=run).describe()
        except RPCError as error:
            # A run id that Temporal would never give is refused, and not looked for: it is not here.
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                return None
            raise

    async def _workflow_of(self, migration: str) -> str:
        """A snapshot tells its migration only."""
        if "'" in migration:
            return ""
        async for each in self._client.list_workflows(f"RunId = '{migration}'"):
            return each.id
        return str(self._begun(migration).get("workflow", ""))

    async def _being_verified(self) -> set[str]:
        if self._verifying is None:
            found: set[str] = set()
            query = f"WorkflowType = '{VERIFY_VM}' AND ExecutionStatus = 'Running'"
            async for each in self._client.list_workflows(query):
                handle = self._client.get_workflow_handle(each.id, run_id=each.run_id)
                async for event in handle.fetch_history_events(page_size=1):
                    payloads = event.workflow_execution_started_event_attributes.input.payloads
                    [said] = await self._client.data_converter.decode(payloads, [VerifyRequest])
                    found.add(said.report.migration)
                    break
            self._verifying = found
        return self._verifying

    def _remembered(self, migration: str, workflow: str) -> Owner:
        """Temporal has forgotten it, or never knew it."""
        begun = self._begun(migration)
        if begun.get("namespace") != self._client.namespace:
            return Owner("unknown", workflow=workflow)
        last = [each for each in all_entries(self._store, migration) if each.kind == "ended"]
        ended = datetime.fromisoformat(last[0].at) if last else None
        return Owner("over", ended, str(last[0].said.get("outcome", "")) if last else "", workflow)

    def _begun(self, migration: str) -> dict[str, Any]:
        if self._stored is None:
            self._stored = set(self._store.migrations())
        if migration not in self._stored:
            return {}
        for entry in all_entries(self._store, migration):
            if entry.kind == "begun" and entry.said.get("migration") == migration:
                return entry.said
        return {}
