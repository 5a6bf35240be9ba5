"""The story of one migration, in the order in which an operator would tell it.

What a chapter does is in a module of its own; the state that all of them change is one contract, so that
continue-as-new is one line.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ActivityHandle

with workflow.unsafe.imports_passed_through():
    from contracts.messages import Approve, Retry
    from contracts.migration import Decision, MigrateVmInput, MigrationState
    from contracts.names import Attribute, Phase
    from contracts.steps import VHD_MOST, Errand, Preflight, Shell, ShellRef
    from contracts.told import Report
    from cutovers.approving import expired, longest_downtime, with_yes
    from cutovers.prediction import Prediction, after_the_start, predict
    from workflows.cutting_over import CuttingOver
    from workflows.deadlines import CalledBack, Deadlines
    from workflows.finishing import Finishing
    from workflows.going_back import GoingBack
    from workflows.notifying import MigrationNotices
    from workflows.permitted import Permitted
    from workflows.preparing import Preparing
    from workflows.proving import Proving
    from workflows.recording import Recording
    from workflows.stepping import CALLED_OFF, StepFailed, heard, order
    from workflows.syncing import Syncing
    from workflows.telling import details_of, report_of, status_of
    from workflows.telling_fleet import TellingFleet
    from workflows.test_copying import TestCopying

Result = TypeVar("Result")

_PHASE = SearchAttributeKey.for_keyword(Attribute.PHASE)
_SOURCE = SearchAttributeKey.for_keyword(Attribute.SOURCE)
_VM = SearchAttributeKey.for_keyword(Attribute.VM)
_TARGET = SearchAttributeKey.for_keyword(Attribute.TARGET)
_FLEET = SearchAttributeKey.for_keyword(Attribute.FLEET)
_NEEDS_HUMAN = SearchAttributeKey.for_bool(Attribute.NEEDS_HUMAN)


class GoOn:
    """The story goes on in a new run."""


class Ended(Exception):
    """The story is over before its good end: cancelled or rolled back."""

    def __init__(self, outcome: Phase, code: str) -> None:
        super().__init__(code)
        self.outcome = outcome
        self.code = code


class Story:
    """One migration. Messages set flags and state; the story looks at them wherever it may stop."""

    def __init__(self, request: MigrateVmInput) -> None:
        self.request = request
        self.state = request.state or MigrationState()
        self.cancel_asked = False
        self.retry_asked = False
        self.retry_said = Retry()
        self.rollback_asked = False
        self.next_pass_at: datetime | None = None
        self.report: Report | None = None
        self.record = Recording(self)
        self.fleet = TellingFleet(self)
        self.notices = MigrationNotices(self)
        self.called_back: CalledBack | None = None
        self.deadlines = Deadlines(self)
        self.going_back = GoingBack(self)
        self.permits = Permitted(self)
        self.syncing = Syncing(self)
        proving = Proving(self)
        self._cutting_over = CuttingOver(self, proving)
        self._finishing = Finishing(self, proving)

    async def told(self) -> Report | GoOn:
        """The whole story."""
        self.record.begin()
        self.fleet.begin()
        try:
            if self.state.errand is None:
                await Preparing(self).prepared()
            if self.request.test_copy:
                await TestCopying(self).made()
                return await self._over("test-copy", Phase.TEST_COPY)
            while True:
                if not await self.syncing.until_cutover():
                    return GoOn()
                if await self._cutting_over.cut_over():
                    break
                await self.permits.give_back()
            await self._finishing.finished()
        except Ended as end:
            return await self._end_early(end)
        except StepFailed as failure:
            if self.state.started_at is None:  # after the start nothing is undone by itself (SAFETY 17)
                await self.going_back.undo_down_to(0)
            return await self._fail(failure)
        return await self._over("done", Phase.DONE)

    # -- what all chapters use

    @property
    def errand(self) -> Errand:
        """On whose behalf the activities work."""
        assert self.state.errand is not None
        return self.state.errand

    def predict(self) -> Prediction:
        """How long the VM would be off if the cutover came now."""
        state = self.state
        between = state.proofs_between
        read_back = bool(between) and all(each.holds and each.made for each in between)
        raw = sum(disk.capacity for disk in self.shell.disks if disk.capacity > VHD_MOST)
        if raw and not workflow.patched("read-back-raw"):
            raw = 0
        most = longest_downtime(state, self.request)
        budget = self.request.downtime_budget if most is None else min(most, self.request.downtime_budget)
        prediction = predict(
            state.passes, state.bytes_allocated, budget,
            read_back=read_back, difference=bool(state.bases), raw=raw,
        )  # fmt: skip
        return after_the_start(prediction) if state.proof_overran else prediction

    @property
    def bandwidth(self) -> str:
        """The limit that holds now."""
        return self.request.bandwidth if self.state.bandwidth is None else self.state.bandwidth

    @property
    def shell(self) -> Shell:
        """The VM on the target."""
        assert self.state.shell is not None
        return self.state.shell

    @property
    def ref(self) -> ShellRef:
        """The same, as the steps are told of it."""
        disks = tuple(disk.disk_id for disk in self.shell.disks)
        return ShellRef(errand=self.errand, vm=self.shell.vm, epoch=self.state.epoch, disk_ids=disks)

    @property
    def preflight(self) -> Preflight:
        """What was found before anything was touched."""
        assert self.state.preflight is not None
        return self.state.preflight

    def set(self, **changes: Any) -> None:
        """Change the state."""
        self.state = self.state.model_copy(update=changes)

    def enter(self, phase: Phase) -> None:
        """Begin a phase: search attributes and the UI's page change with it, and only then."""
        self.set(phase=phase)
        self.record.phase(phase)
        self._show()

    def _show(self) -> None:
        request, state = self.request, self.state
        attributes: list[Any] = [
            _PHASE.value_set(state.phase.value),
            _NEEDS_HUMAN.value_set(bool(state.needs_human) or state.phase is Phase.AWAITING_APPROVAL),
        ]
        if workflow.info().typed_search_attributes.get(_VM) is None:
            attributes += [
                _SOURCE.value_set(request.source),
                _VM.value_set(request.vm),
                _TARGET.value_set(request.target),
                *([_FLEET.value_set(request.fleet.removeprefix("fleet/"))] if request.fleet else []),
            ]
        workflow.upsert_search_attributes(attributes)
        self.notices.look()
        workflow.set_current_details(details_of(status_of(request, state, self.next_pass_at)))

    def decide(self, decision: Decision, *, approved: bool | None) -> None:
        """Record what a human said and what they saw (promise 8)."""
        self.set(decisions=(*self.state.decisions, decision)[-100:])
        self.record.decision(decision)
        if approved is not None:
            self.set(approved=decision if approved else None, approvals=(decision,) if approved else ())

    def forget_expired(self) -> None:
        """A yes that has expired counts no more."""
        self._take(expired(self.state, self.request, workflow.now()))

    def hear_yes(self, said: Approve) -> None:
        """A yes, which may be the last that it takes."""
        self.forget_expired()
        self._take(with_yes(self.state, self.request, said, workflow.now()))

    def _take(self, state: MigrationState) -> None:
        """What was decided about a yes: each decision is put on record with the facts that were shown."""
        before, self.state = self.state.decisions, state
        for each in state.decisions:
            if each not in before:
                self.record.decision(each)

    def hear_retry(self, said: object) -> None:
        """Somebody says retry; what they say with it is looked at by who waits for it."""
        self.retry_said = said if isinstance(said, Retry) else Retry()
        self.retry_asked = True
        if self.retry_said.from_phase == "initial-sync":
            self.set(distrust=f"{self.retry_said.who or 'somebody'} asked for a comparison of all")
        if self.retry_said.accept:
            decision = Decision(
                decision=f"accepted {self.state.needs_human}", who=self.retry_said.who, at=workflow.now(),
                note=self.retry_said.note, phase=self.state.phase, passes=len(self.state.passes),
            )  # fmt: skip
            self.decide(decision, approved=None)

    def stop_if_asked(self) -> None:
        """Where a cancel or a rollback may be obeyed.

        Raises:
            Ended: somebody asked.
            CalledBack: a clock rang before the start.
        """
        if self.rollback_asked:
            raise Ended(Phase.ROLLED_BACK, "migration.rolled_back")
        if self.cancel_asked:
            raise Ended(Phase.CANCELLED, "migration.cancelled")
        if self.called_back is not None:
            raise self.called_back

    @property
    def must_stop(self) -> bool:
        """Whether what is under way is to be called off."""
        return self.cancel_asked or self.rollback_asked or self.called_back is not None

    async def step(self, name: str, said: Any, answer: type[Result], *, summary: str = "") -> Result:
        """One activity. What only a human can mend is waited for, where nothing is frozen.

        Raises:
            Ended: somebody cancelled meanwhile.
            StepFailed: it will not succeed.
        """
        while True:
            self.stop_if_asked()
            try:
                return await self.hear(order(name, said, answer, summary=summary))
            except StepFailed as failure:
                if not failure.asks:
                    raise
                await self.park(failure)

    async def hear(self, handle: ActivityHandle[Result], *, see_through: bool = False) -> Result:
        """Wait for an activity; a cancel or a rollback calls it off, for it may be tried again for ever.

        Args:
            see_through: only a rollback calls it off.

        What has begun is seen to its end, and its answer counts.

        Raises:
            Ended: it was called off.
            StepFailed: it failed.
        """
        await workflow.wait_condition(
            lambda: handle.done() or self.rollback_asked or (self.must_stop and not see_through)
        )
        if not handle.done():
            handle.cancel()
        try:
            return await heard(handle)
        except StepFailed as failure:
            if failure.code == CALLED_OFF:
                self.stop_if_asked()
            raise

    async def park(
        self, failure: StepFailed, *, may_stop: bool = True, or_when: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until a human says retry (SAFETY 21). The source is thawed and runs, but in a way back.

        Args:
            or_when: or until then.

        Raises:
            Ended: they cancelled instead.
        """
        await self.permits.give_back()
        self.retry_asked = False
        self.set(needs_human=failure.code, needs_human_message=failure.message)
        self.record.parked(failure.code, failure.message)
        self._show()
        await workflow.wait_condition(
            lambda: self.retry_asked or or_when() or (may_stop and (self.cancel_asked or self.rollback_asked))
        )
        self.retry_asked = False
        self.set(needs_human="", needs_human_message="")
        self._show()
        if may_stop:
            self.stop_if_asked()

    def tell_human(self, code: str, message: str) -> None:
        """What a human should see to, while all goes on; empty: nothing any more."""
        self.set(needs_human=code, needs_human_message=message)
        self._show()

    async def insist(
        self, name: str, said: Any, answer: type[Result], *, summary: str = "", give_up_after: timedelta | None = None
    ) -> Result:
        """One activity that must succeed, cancel or not: whatever stops it is waited for with a human."""
        while True:
            try:
                return await heard(order(name, said, answer, summary=summary, give_up_after=give_up_after))
            except StepFailed as failure:
                await self.park(failure, may_stop=False)

    # -- endings

    def carried(self) -> MigrateVmInput:
        """What the next run begins with: told at the last moment, so that no message is lost."""
        state = self.state.model_copy(update={"passes_this_run": 0, "runs": self.state.runs + 1})
        return self.request.model_copy(update={"state": state})

    async def _end_early(self, end: Ended) -> Report:
        if end.outcome is Phase.ROLLED_BACK:
            if self.state.started_at is not None:
                await self.going_back.stop_target()
            await self.going_back.undo_down_to(0)
            return await self._over("rolled-back", Phase.ROLLED_BACK, end.code, "somebody rolled it back")
        if self.state.started_at is None:
            await self.going_back.undo_down_to(0)
            await self._over("cancelled", Phase.CANCELLED, end.code, "somebody cancelled it; the source is as it was")
        else:
            await self._finishing.leave()
            message = "somebody cancelled it after the target was started"
            await self._over("cancelled", Phase.CANCELLED, end.code, message)
        raise asyncio.CancelledError

    async def _fail(self, failure: StepFailed) -> Report:
        report = await self._over("failed", Phase.FAILED, failure.code, failure.message)
        raise ApplicationError(failure.message, report, type=failure.code, non_retryable=True)

    async def _over(self, outcome: str, phase: Phase, code: str = "", message: str = "") -> Report:
        self.set(last_message=f"{code}: {message}" if code else "")
        self.enter(phase)
        self.report = report = self.record.ended(report_of(self.request, self.state, outcome, code, message))
        await self.permits.give_back()
        await self.record.written()
        await self.fleet.told()
        return report
