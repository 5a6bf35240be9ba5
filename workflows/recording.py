"""The record of a migration as its workflow writes it: entries are worked out here, and go to the store in batches.

What is not in the store yet is in the workflow's state, so nothing is lost whatever dies; and the store may get an
entry twice, since a reader goes by digests. Nothing waits for the store but the end of the migration.
"""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityHandle

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel

    from contracts.migration import Decision, PassSummary
    from contracts.names import Message, Phase
    from contracts.record import AppendRecord, RecordState, Said, appended, following, report_digest, told_of
    from contracts.told import Report
    from workflows.deciding import approval_facts
    from workflows.stepping import CALLED_OFF, StepFailed, failure_of, heard, order
    from workflows.telling import open_codes

if TYPE_CHECKING:
    from workflows.story import Story

AT_ONCE = 32
"""Entries that are kept back before they are sent to the store; a phase or an end sends them at once.

A message and what it decides do not: a handler that gives a command while the story's own timers end gives it in
another order when it is replayed.
"""
SETTLES = timedelta(seconds=30)
"""So long a new run waits for what is under way to the store."""
_SEND_AT_ONCE = frozenset({"phase", "ended"})
_FROM_HANDLERS = frozenset({"message", "decision"})
_APPEND = "append_record"


class Recording:
    """Off in runs that began with code that kept no record (``patched``): they go on as they began."""

    def __init__(self, story: "Story") -> None:
        self._story = story
        self._kept: bool | None = None
        self._sending: asyncio.Task[None] | None = None
        self._over = False

    @property
    def state(self) -> RecordState:
        """As it is carried."""
        return self._story.state.record or RecordState()

    @property
    def _on(self) -> bool:
        if self._kept is None:  # a message may come before the story begins
            self._kept = workflow.patched("record")
        return self._kept

    def begin(self) -> None:
        """At the start of each run; the first entry says whose record it is."""
        if self._on and self._story.state.record is None:
            request, state = self._story.request, self._story.state
            info = workflow.info()
            said: Said = {
                "migration": info.first_execution_run_id, "workflow": info.workflow_id, "namespace": info.namespace,
                "source": request.source, "target": request.target, "vm": request.vm,
                "request": told_of(request.model_copy(update={"state": None})),
            }  # fmt: skip
            if state.passes:  # it was begun by a worker that kept none
                said |= {"passes_before": len(state.passes), **_sums(state.passes)}
            self._add("begun", said)

    # -- what happens

    def phase(self, phase: Phase) -> None:
        """It entered a phase."""
        self._add("phase", {"phase": phase.value})

    def message(self, message: Message | str, said: object) -> None:
        """Somebody said something, and it was accepted."""
        told = said.model_dump(mode="json", exclude_none=True) if isinstance(said, BaseModel) else {}
        self._add("message", {"message": str(message), **told})

    def decision(self, decision: Decision) -> None:
        """A yes or a no, with the facts that were shown."""
        preflight = self._story.state.preflight
        facts = approval_facts(preflight, open_codes(self._story.state)) if preflight is not None else ()
        self._add("decision", {**decision.model_dump(mode="json"), "facts": facts})

    def passed(self, summary: PassSummary) -> None:
        """A pass is over, with its bytes."""
        self._add("pass", summary.model_dump(mode="json"))

    def parked(self, code: str, message: str) -> None:
        """It waits for a human."""
        self._add("parked", {"code": code, "message": message})

    def step(self, name: str, said: Any, handle: ActivityHandle[Any]) -> None:
        """A command was given; what becomes of it is the next entry about it."""
        if name == _APPEND or not self._on:
            return
        self._add("step", {"step": name, "argument": told_of(said)})
        number = self.state.count - 1
        handle.add_done_callback(lambda done: self._outcome(number, name, done))

    def _outcome(self, number: int, name: str, done: Any) -> None:
        if done.cancelled():
            return self._add("outcome", {"of": number, "step": name, "code": CALLED_OFF})
        error = done.exception()
        if error is None:
            return self._add("outcome", {"of": number, "step": name, "code": "done", "answer": told_of(done.result())})
        if isinstance(error, ActivityError):
            failed = failure_of(error)
            said = {"of": number, "step": name, "code": failed.code, "message": failed.message}
            return self._add("outcome", said)

    def ended(self, report: Report) -> Report:
        """It is over: the last entry digests the report, and the report names the last entry."""
        if not self._on:
            return report
        plain = report.model_dump(mode="json", exclude_defaults=True)
        numbers = {key: plain[key] for key in _NUMBERS if key in plain}
        self._add("ended", {**numbers, "report_sha256": report_digest(plain)})
        self._over = True
        return report.model_copy(update={"record_head": self.state.head, "record_entries": self.state.count})

    # -- into the store

    async def written(self) -> None:
        """Until all is in the store; what only a human can mend is waited for."""
        while self._on and self.state.pending:
            try:
                if self._sending is not None and not self._sending.done():
                    await self._sending
                else:
                    await self._send()
            except StepFailed as failure:
                await self._story.park(failure, may_stop=False)

    async def settled(self) -> None:
        """Before a new run: what is under way to the store is waited for a while, so that no two send at once.

        A store that does not answer holds no new run up: that run sends it again.
        """
        if self._sending is None or self._sending.done() or not workflow.patched("record-settled"):
            return
        await workflow.wait([self._sending], timeout=SETTLES.total_seconds())
        if not self._sending.done():
            self._sending.cancel()
            await workflow.wait([self._sending])

    def _add(self, kind: str, said: Said) -> None:
        if not self._on or self._over:
            return
        entry = following(self.state, kind, workflow.now().isoformat(), said)
        self._story.set(record=appended(self.state, entry))
        if kind in _SEND_AT_ONCE or (len(self.state.pending) >= AT_ONCE and kind not in _FROM_HANDLERS):
            self._send_soon()

    def _send_soon(self) -> None:
        errand = self._story.state.errand
        busy = self._sending is not None and not self._sending.done()
        if busy or errand is None or not errand.store_id:  # which store is only known by then
            return
        self._sending = asyncio.create_task(self._quietly())

    async def _quietly(self) -> None:
        try:
            await self._send()
        except StepFailed:
            return  # it stays in the state, and is sent with the next; the end insists

    async def _send(self) -> None:
        errand, batch = self._story.errand, self.state.pending
        said = AppendRecord(migration=errand.migration, store_id=errand.store_id, entries=batch)
        await heard(order(_APPEND, said, type(None), summary=f"record: {len(batch)} entries"))
        rest = self.state.pending[len(batch) :]
        self._story.set(record=self.state.model_copy(update={"pending": rest}))


_NUMBERS = (
    "outcome", "error", "message", "passes", "bytes_allocated", "bytes_sent", "bytes_sent_again", "downtime_s",
    "proof_target_is_sent", "proof_target_is_source", "target_vm", "kept_vdis",
)  # fmt: skip


def _sums(passes: tuple[PassSummary, ...]) -> Said:
    return {
        "bytes_sent_before": sum(each.bytes_sent for each in passes),
        "bytes_sent_again_before": sum(each.bytes_sent_again for each in passes),
    }
