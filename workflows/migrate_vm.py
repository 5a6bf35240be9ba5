"""``MigrateVm``: the life of one migration. The doors are here; the story is in :mod:`workflows.story`."""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ValidationError

    from contracts.capacity import Granted
    from contracts.messages import Ack, Approve, Reject, Retry, Rollback, SetLimits, Steer
    from contracts.migration import Decision, HeardSignal, MigrateVmInput
    from contracts.names import MIGRATE_VM, PERMITS_GRANTED, RECORD, SIGNAL_TWINS, STATUS, Message
    from contracts.record import RecordEnd
    from contracts.test_boot import TestBoot
    from contracts.told import Report, Status
    from cutovers.holding import HOLDS
    from workflows.deciding import nobody, refusal
    from workflows.stepping import as_failure
    from workflows.story import GoOn, Story
    from workflows.telling import status_of

_SAID: dict[Message, type[BaseModel]] = {
    Message.APPROVE: Approve,
    Message.REJECT: Reject,
    Message.PAUSE: Steer,
    Message.RESUME: Steer,
    Message.SYNC_NOW: Steer,
    Message.SET_LIMITS: SetLimits,
    Message.RETRY: Retry,
    Message.ROLLBACK: Rollback,
    Message.TEST_BOOT: TestBoot,
}


@workflow.defn(name=MIGRATE_VM, failure_exception_types=[ValidationError])
class MigrateVm:
    """One VM, from where it is to XCP-ng, and always a way back."""

    @workflow.init
    def __init__(self, request: MigrateVmInput) -> None:
        self.story = Story(request)

    @property
    def site(self) -> str:
        """Whose workers take its activities."""
        return self.story.request.site

    @workflow.run
    async def run(self, request: MigrateVmInput) -> Report:
        """Tell the story to its end. A cancel is heard by the story, which ends it in order."""
        story = asyncio.create_task(self.story.told())
        while True:
            try:
                ending = await asyncio.shield(story)
                break
            except asyncio.CancelledError:
                if self.story.cancel_asked and story.done():
                    raise
                self.story.cancel_asked = True
                self.story.record.message("cancel", None)
                if story.done() and isinstance(story.result(), GoOn):
                    story = asyncio.create_task(self.story.told())  # no new run: it would not know of the cancel
        await workflow.wait_condition(workflow.all_handlers_finished)
        if isinstance(ending, GoOn):
            workflow.continue_as_new(self.story.carried())
        return ending

    # -- updates: each has a validator, so that a refused one leaves no trace

    @workflow.update
    async def approve(self, said: Approve) -> Ack:
        """Yes to the cutover, for the facts that the ticket names."""
        return self._hear(Message.APPROVE, said)

    @approve.validator
    def _check_approve(self, said: Approve) -> None:
        self._check(Message.APPROVE, said)

    @workflow.update
    async def reject(self, said: Reject) -> Ack:
        """No, or a yes taken back."""
        return self._hear(Message.REJECT, said)

    @reject.validator
    def _check_reject(self, said: Reject) -> None:
        self._check(Message.REJECT, said)

    @workflow.update
    async def pause(self, said: Steer | None = None) -> Ack:
        """Cut the pass, thaw the source, and wait for resume."""
        return self._hear(Message.PAUSE, said)

    @pause.validator
    def _check_pause(self, said: Steer | None = None) -> None:
        self._check(Message.PAUSE, said)

    @workflow.update
    async def resume(self, said: Steer | None = None) -> Ack:
        """Go on."""
        return self._hear(Message.RESUME, said)

    @resume.validator
    def _check_resume(self, said: Steer | None = None) -> None:
        self._check(Message.RESUME, said)

    @workflow.update
    async def sync_now(self, said: Steer | None = None) -> Ack:
        """Begin the next delta pass at once."""
        return self._hear(Message.SYNC_NOW, said)

    @sync_now.validator
    def _check_sync_now(self, said: Steer | None = None) -> None:
        self._check(Message.SYNC_NOW, said)

    @workflow.update
    async def set_limits(self, said: SetLimits | None = None) -> Ack:
        """Another bandwidth, at once: open segments end within a second, and the copies go on at the new pace."""
        return self._hear(Message.SET_LIMITS, said)

    @set_limits.validator
    def _check_set_limits(self, said: SetLimits | None = None) -> None:
        self._check(Message.SET_LIMITS, said)

    @workflow.update
    async def retry(self, said: Retry | None = None) -> Ack:
        """The cause is mended: try again."""
        return self._hear(Message.RETRY, said)

    @retry.validator
    def _check_retry(self, said: Retry | None = None) -> None:
        self._check(Message.RETRY, said)

    @workflow.update
    async def rollback(self, said: Rollback) -> Ack:
        """Back to the source."""
        return self._hear(Message.ROLLBACK, said)

    @rollback.validator
    def _check_rollback(self, said: Rollback) -> None:
        self._check(Message.ROLLBACK, said)

    @workflow.update
    async def test_boot(self, said: TestBoot) -> Ack:
        """Boot what was copied so far from clones, beside everything, and throw it away."""
        return self._hear(Message.TEST_BOOT, said)

    @test_boot.validator
    def _check_test_boot(self, said: TestBoot) -> None:
        self._check(Message.TEST_BOOT, said)

    @workflow.signal(name=PERMITS_GRANTED)
    async def permits_granted(self, said: Granted) -> None:
        """The table of permits says that it has them."""
        await self.story.permits.granted(said)

    # -- signal twins: one handler over a table; what cannot be refused is recorded

    @workflow.signal(dynamic=True)
    def any_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """The effect of the update of the same name in :data:`contracts.names.SIGNAL_TWINS`."""
        message = SIGNAL_TWINS.get(name)
        if message is None:
            return self._note_signal(name, "ignored: no such signal")
        try:
            said = _decoded(_SAID[message], args)
        except ValueError as error:
            first = str(error).splitlines()[0][:200]
            return self._note_signal(name, f"ignored: request.invalid: {first}")
        refused = refusal(message, self.story.state, said)
        if refused is None and nobody(said) and workflow.patched("nobody"):
            refused = nobody(said)
        if refused is not None:
            return self._note_signal(name, f"ignored: {refused.code}: {refused.message}")
        self._act(message, said)
        self._note_signal(name, "accepted")

    # -- queries

    @workflow.query(name=STATUS)
    def status(self) -> Status:
        """Where it is, what it waits for, and what an approval would approve."""
        return status_of(self.story.request, self.story.state, self.story.next_pass_at)

    @workflow.query
    def report(self) -> Report | None:
        """The report, once it is over; also of a cancelled migration, which has no result."""
        return self.story.report

    @workflow.query(name=RECORD)
    def record(self) -> RecordEnd:
        """The end of the record's chain, and the entries that are not in the store yet."""
        errand, state = self.story.state.errand, self.story.record.state
        where = {} if errand is None else {
            "migration": errand.migration, "store_id": errand.store_id, "site": errand.site,
        }  # fmt: skip
        return RecordEnd(head=state.head, count=state.count, pending=state.pending, **where)

    def _check(self, message: Message, said: object) -> None:
        info = workflow.current_update_info()
        if info is not None and info.id in self.story.state.handled:
            return
        refused = nobody(said) or refusal(message, self.story.state, said)
        if refused is not None:
            raise as_failure(refused)

    def _hear(self, message: Message, said: object) -> Ack:
        state = self.story.state
        info = workflow.current_update_info()
        if info is not None and info.id in state.handled:
            return Ack(phase=state.phase, message="heard before")
        # Things may have moved on between the validator and here.
        refused = refusal(message, state, said)
        if refused is not None:
            raise as_failure(refused)
        self._act(message, said)
        if info is not None:
            # Bounded: an id that is 500 messages old is not sent again by anyone.
            self.story.set(handled=(*self.story.state.handled, info.id)[-500:])
        state, quorum = self.story.state, self.story.request.quorum
        missing = message is Message.APPROVE and state.approved is None
        told = f"{len(state.approvals)} of {quorum} approvals" if missing else f"{message.value} accepted"
        return Ack(phase=state.phase, message=told)

    def _act(self, message: Message, said: object) -> None:
        story = self.story
        story.record.message(message, said)
        match message:
            case Message.APPROVE:
                assert isinstance(said, Approve)
                story.hear_yes(said)
            case Message.REJECT:
                assert isinstance(said, Reject)
                story.decide(_decision("rejected", said, self.story), approved=False)
            case Message.PAUSE:
                story.set(paused=True)
            case Message.RESUME:
                story.set(paused=False)
            case Message.SYNC_NOW:
                story.set(sync_requested=True)
            case Message.RETRY:
                story.hear_retry(said)
                if story.state.needs_human in HOLDS:
                    story.set(sync_requested=True)  # nothing is parked: it looks again, after a pass
            case Message.ROLLBACK:
                assert isinstance(said, Rollback)
                story.rollback_asked = True
                story.decide(_decision("rollback", said, self.story), approved=None)
            case Message.TEST_BOOT:
                assert isinstance(said, TestBoot)
                story.set(test_boot=story.state.test_boot or said)
            case Message.SET_LIMITS:
                assert isinstance(said, SetLimits)
                if said.bandwidth is not None:
                    story.set(bandwidth=said.bandwidth)
                if said.windows is not None:
                    story.set(windows=said.windows, window=None, no_window_left=False)

    def _note_signal(self, name: str, outcome: str) -> None:
        heard = HeardSignal(name=name[:100], outcome=outcome, at=workflow.now())
        self.story.set(signals=(*self.story.state.signals, heard)[-50:])


def _decision(what: str, said: Approve | Reject | Rollback, story: Story) -> Decision:
    return Decision(
        decision=what,
        who=said.who,
        note=said.note,
        at=workflow.now(),
        approval_ticket=story.state.approval_ticket,
        phase=story.state.phase,
        predicted_downtime_s=story.state.predicted_downtime_s,
        passes=len(story.state.passes),
    )


def _decoded(model: type[BaseModel], args: Sequence[RawValue]) -> BaseModel | None:
    if not args:
        return None if model in (Steer, Retry, SetLimits) else model.model_validate({})
    decoded: Any = workflow.payload_converter().from_payload(args[0].payload)
    return model.model_validate({} if decoded is None else decoded)
