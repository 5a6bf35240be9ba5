"""A migration of a fleet tells it where it is, whenever that changes. Nothing waits for the fleet but the end."""

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from contracts.fleet import MemberTold
    from contracts.names import MEMBER_TOLD
    from workflows.deciding import refused

if TYPE_CHECKING:
    from workflows.story import Story

LAST_WORD = timedelta(minutes=1)
"""So long an end waits for the fleet to be told. A fleet that is gone refuses at once."""


class TellingFleet:
    """Off where the request names no fleet: then it gives no command."""

    def __init__(self, story: "Story") -> None:
        self._story = story
        self._telling: asyncio.Task[None] | None = None
        self._over = False

    def begin(self) -> None:
        """At the start of each run."""
        if self._story.request.fleet:
            self._telling = asyncio.create_task(self._tell())

    async def told(self) -> None:
        """Until the fleet knows all, at an end or before a new run."""
        if self._telling is None:
            self.begin()
        if self._telling is None:
            return
        self._over = True
        await workflow.wait([self._telling], timeout=LAST_WORD.total_seconds())
        if not self._telling.done():
            self._telling.cancel()
        self._telling = None
        self._over = False

    async def _tell(self) -> None:
        """One word after the other: what changed meanwhile is one word."""
        story = self._story
        fleet = workflow.get_external_workflow_handle(story.request.fleet)
        while True:
            await workflow.wait_condition(lambda: self._over or not self._told())
            said = self._now()
            if self._told():
                return
            story.set(fleet_told=said)
            with contextlib.suppress(FailureError):  # it is over, or was ended: the migration goes on without it
                await fleet.signal(MEMBER_TOLD, said)

    def _told(self) -> bool:
        """Whether the fleet knows where it is. Numbers grow all the time, and go along when something else changes."""
        told = self._story.state.fleet_told
        return told is not None and told.news() == self._now().news()

    def _now(self) -> MemberTold:
        story, info = self._story, workflow.info()
        state, report = story.state, story.report
        message = report.message if report is not None else state.needs_human_message
        return MemberTold(
            workflow=info.workflow_id, run=info.first_execution_run_id, phase=state.phase,
            needs_human=state.needs_human, message=message[:300],
            ticket=state.approval_ticket, approved=state.approved is not None,
            refused=refused(state.decisions),
            outcome=report.outcome if report is not None else "", code=report.error if report is not None else "",
            bytes_sent=report.bytes_sent if report is not None else sum(each.bytes_sent for each in state.passes),
            bytes_total=state.bytes_allocated,
            rate=state.rate, passes=len(state.passes), downtime_s=report.downtime_s if report is not None else None,
        )  # fmt: skip
