"""What people should know goes out by an activity, several at once. Nothing waits for it but an end, for a while."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from contracts.names import QUEUE, Phase
    from contracts.notices import MOST_NAMES, Event, Notice, NoticeAnswer, NoticeOrder
    from workflows import timing

if TYPE_CHECKING:
    from workflows.story import Story

_TRIES = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=30), maximum_attempts=5)


class Notices:
    """Of one workflow. Several of one event that come within seconds are one message."""

    def __init__(self, *, fleet: str = "") -> None:
        self._fleet, self._pending, self._number = fleet, dict[tuple[Event, str], list[str]](), 0
        self._words: dict[tuple[Event, str], tuple[str, str]] = {}
        self._sending: asyncio.Task[None] | None = None
        self._wanted = True

    def add(self, event: Event, text: str, *, vm: str = "", code: str = "", command: str = "") -> None:
        """Soon told.

        Args:
            text: of several, that of the last is told, with the number and names of the VMs before it.
        """
        if not self._wanted:
            return
        self._pending.setdefault((event, code), []).extend([vm] if vm else [])
        self._words[event, code] = (text, command)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def flush(self) -> None:
        """Until all is sent, or a minute has passed."""
        if self._sending is not None and not self._sending.done():
            await workflow.wait([self._sending], timeout=timing.LAST_NOTICE.total_seconds())

    async def _send(self) -> None:
        if not workflow.patched("notices"):  # a run that began without them goes on without them
            self._wanted = False
            self._pending.clear()
        while self._pending and self._wanted:
            await workflow.sleep(timing.GATHER_NOTICES, summary="what comes together is told together")
            pending, self._pending = self._pending, {}
            said = NoticeOrder(notices=tuple(self._notice(*key, vms) for key, vms in pending.items()))
            try:
                answer = await workflow.execute_activity(
                    "notify", said, result_type=NoticeAnswer, task_queue=QUEUE, retry_policy=_TRIES,
                    start_to_close_timeout=timing.NOTICE, schedule_to_close_timeout=timing.LAST_NOTICE,
                    summary=", ".join(sorted({each.event.value for each in said.notices})),
                )  # fmt: skip
            except FailureError as error:
                workflow.logger.warning("a notice was not sent: %s", error.cause or error)
            else:
                self._wanted = answer.configured

    def _notice(self, event: Event, code: str, vms: list[str]) -> Notice:
        self._number += 1
        info = workflow.info()
        text, command = self._words[event, code]
        names = list(dict.fromkeys(vms))
        more = ", …" if len(names) > MOST_NAMES else ""
        whom = f"{len(names)} VMs ({', '.join(names[:MOST_NAMES])}{more})" if len(names) > 1 else "".join(names)
        where = f"fleet {self._fleet}: " if self._fleet else ""
        then = f"\n{command}" if command else ""
        return Notice(
            key=f"{info.run_id}-{self._number}", event=event, text=f"{where}{f'{whom}: ' if whom else ''}{text}{then}",
            workflow=info.workflow_id, fleet=self._fleet, vms=tuple(names[:MOST_NAMES]), count=len(names), code=code,
            command=command, at=workflow.now().isoformat(timespec="seconds"),
        )  # fmt: skip


class MigrationNotices:
    """Of a migration that has no fleet; members of one tell it, and it tells people."""

    def __init__(self, story: "Story") -> None:
        self._story, self._notices = story, Notices()
        self._parked, self._asked = "", False

    def look(self) -> None:
        """At what is shown of it now. A yes is asked for once, though passes go on and the facts change."""
        request, state = self._story.request, self._story.state
        if request.fleet:
            return
        command = f"ferry status {workflow.info().workflow_id}"
        if state.needs_human and state.needs_human != self._parked:
            text = f"{request.vm} needs a human: {state.needs_human}, {state.needs_human_message[:300]}"
            self._notices.add(Event.NEEDS_HUMAN, text, code=state.needs_human, command=command)
        self._parked = state.needs_human
        asks = state.phase is Phase.AWAITING_APPROVAL and request.approval == "manual" and state.approved is None
        if asks and not self._asked:
            self._notices.add(Event.APPROVAL, f"{request.vm} waits for a yes to its cutover", command=command)
        self._asked = asks or (self._asked and state.phase is Phase.DELTA_SYNC)
