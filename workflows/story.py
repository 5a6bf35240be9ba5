"""The story of one migration, in the order in which an operator would tell it.

What a chapter does is in :mod:`workflows.syncing` (passes) and :mod:`workflows.cutting_over` (cutover, start,
proofs, rollback); the state that all of them change is one contract, so that continue-as-new is one line.
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
    from contracts.machine import Power
    from contracts.migration import Approve, Decision, MigrateVmInput, MigrationState, Report, Retry, Undo, UndoStep
    from contracts.names import Attribute, Phase
    from contracts.steps import (
        VHD_MOST,
        Errand,
        FenceJournal,
        Preflight,
        PreflightOrder,
        RemovedShell,
        Shell,
        ShellOrder,
        SourceOrder,
        UnfenceOrder,
    )
    from workflows.approved import take_approved_steps
    from workflows.approving import expired, longest_downtime, with_yes
    from workflows.cutting_over import CuttingOver
    from workflows.deadlines import CalledBack, Deadlines
    from workflows.deciding import approval_facts, ticket_of
    from workflows.prediction import Prediction, after_the_start, predict
    from workflows.recording import Recording
    from workflows.stepping import CALLED_OFF, StepFailed, heard, order
    from workflows.syncing import Syncing
    from workflows.telling import details_of, open_codes, report_of, status_of
    from workflows.test_copying import TestCopying

Result = TypeVar("Result")

_PHASE = SearchAttributeKey.for_keyword(Attribute.PHASE)
_SOURCE = SearchAttributeKey.for_keyword(Attribute.SOURCE)
_VM = SearchAttributeKey.for_keyword(Attribute.VM)
_TARGET = SearchAttributeKey.for_keyword(Attribute.TARGET)
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
        self.called_back: CalledBack | None = None
        self.deadlines = Deadlines(self)
        self.syncing = Syncing(self)
        self._cutting_over = CuttingOver(self)

    async def told(self) -> Report | GoOn:
        """The whole story."""
        self.record.begin()
        try:
            if self.state.errand is None:
                await self._prepare()
            if self.request.test_copy:
                await TestCopying(self).made()
                return await self._over("test-copy", Phase.TEST_COPY)
            while True:
                if not await self.syncing.until_cutover():
                    return GoOn()
                if await self._cutting_over.cut_over():
                    break
            await self._cutting_over.prove_and_finish()
        except Ended as end:
            return await self._end_early(end)
        except StepFailed as failure:
            if self.state.started_at is None:  # after the start nothing is undone by itself (SAFETY 17)
                await self.undo_down_to(0)
            return await self._fail(failure)
        return await self._over("done", Phase.DONE)

    # -- preflight and shell

    async def _prepare(self) -> None:
        info = workflow.info()
        request = self.request
        adopted = request.adopt
        errand = Errand(
            migration=adopted.migration if adopted else info.first_execution_run_id,
            workflow=info.workflow_id,
            source=request.source,
            target=request.target,
            vm=request.vm,
        )
        self.set(errand=errand)
        if adopted:
            # Whatever a step of the ended run still has in its hands is refused (SAFETY 14).
            self.set(epoch=adopted.epoch + 1, pass_no=adopted.pass_no)
            self.set(distrust="nobody watched the source since the migration ended")
        self.enter(Phase.PREFLIGHT)
        found = await self._look(errand)
        machine = found.machine
        errand = errand.model_copy(update={"machine_id": machine.machine_id, "store_id": found.store_id})
        errand = errand.model_copy(update={"read_only": machine.read_only})
        self.set(errand=errand, preflight=found, was_on=machine.power is Power.ON)
        self._stop_at_blockers(found)
        if adopted:
            errand = self._adopt(errand, found, adopted.store_id)
        self.enter(Phase.SHELL)
        self.will_undo(UndoStep.RELEASE_SOURCE)
        claim = SourceOrder(errand=errand, epoch=self.state.epoch)
        await self.step("claim_source", claim, type(None), summary="owner mark on the source")
        if request.approved_steps:
            await take_approved_steps(self, found)
            found = await self._look(errand)  # what was changed is not what shall be approved
            machine = found.machine
            self.set(preflight=found)
            self._stop_at_blockers(found)
        self.will_undo(UndoStep.REMOVE_SHELL)
        shell = await self.step(
            "make_shell",
            ShellOrder(
                errand=errand,
                machine=machine,
                sr_uuid=found.sr_uuid,
                networks=found.networks,
                template=found.template,
                test_copy=request.test_copy,
                epoch=self.state.epoch,
            ),
            Shell,
            summary=f"shell on {found.pool}",
        )
        missing = {disk.disk_id for disk in machine.disks} ^ {disk.disk_id for disk in shell.disks}
        if missing:
            raise StepFailed("xapi.shell_broken", f"not every disk has its VDI: {', '.join(sorted(missing))}")
        self.set(shell=shell)
        if found.warm:
            self.will_undo(UndoStep.CHANGE_TRACKING_OFF)
            was_off = await self.step(
                "change_tracking_on", SourceOrder(errand=errand), bool, summary="change tracking on"
            )
            self.set(switched_tracking_on=was_off)

    def _adopt(self, errand: Errand, found: Preflight, store_id: str) -> Errand:
        """An ended migration's VDIs and journals: only when it let go of its VM, and where its store is.

        Raises:
            StepFailed: ``vm.already_migrating`` when the VM bears a mark, be it this migration's: it has not ended.
        """
        if found.machine.owner is not None:
            raise StepFailed(
                "vm.already_migrating", f"{found.machine.name} bears the mark of {found.machine.owner.workflow}"
            )
        errand = errand.model_copy(update={"store_id": store_id})  # another store is refused (SAFETY 6)
        self.set(errand=errand)
        return errand

    async def _look(self, errand: Errand) -> Preflight:
        request = self.request
        said = PreflightOrder(
            errand=errand,
            sr=request.sr,
            networks=request.networks,
            overrides=request.overrides,
            vmware_tools=request.vmware_tools,
            approved_steps=tuple(request.approved_steps),
            segment_bytes=request.segment_bytes,
            bandwidth=request.bandwidth,
        )
        return await self.step("preflight", said, Preflight, summary=f"preflight of {request.vm}")

    def _stop_at_blockers(self, found: Preflight) -> None:
        """The ticket of what was found, or the end. Raises ``StepFailed``."""
        blockers = [check for check in found.checks if check.severity == "blocker"]
        if blockers:
            if len(blockers) == 1:
                raise StepFailed(blockers[0].code, blockers[0].message)
            raise StepFailed("preflight.blocked", "; ".join(f"{check.code}: {check.message}" for check in blockers))
        self.set(approval_ticket=ticket_of(approval_facts(found, open_codes(self.state))))

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
            ]
        workflow.upsert_search_attributes(attributes)
        workflow.set_current_details(details_of(status_of(request, state, self.next_pass_at)))

    def decide(self, decision: Decision, *, approved: bool | None) -> None:
        """Record what a human said and what they saw (promise 8)."""
        self.set(decisions=(*self.state.decisions, decision)[-100:])
        self.record.decision(decision)
        if approved is not None:
            self.set(approved=decision if approved else None, approvals=(decision,) if approved else ())

    def forget_expired(self) -> None:
        """A yes that has expired counts no more."""
        self._take(expired(self.state, workflow.now()))

    def hear_yes(self, said: Approve) -> None:
        """A yes, which may be the last that it takes."""
        self.forget_expired()
        self._take(with_yes(self.state, self.request, said, workflow.now()))

    def _take(self, state: MigrationState) -> None:
        """What was decided about a yes; each decision is put on record with the facts that were shown."""
        new = [each for each in state.decisions if each not in self.state.decisions]
        self.state = state
        if new and workflow.patched("yes-on-record"):
            for each in new:
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

    # -- the way back

    def will_undo(self, step: UndoStep, argument: str = "") -> None:
        """Register a way back before the deed (SAFETY 20)."""
        self.set(undo=(*self.state.undo, Undo(step=step, argument=argument)))

    def forget_undo(self, step: UndoStep) -> None:
        """There is nothing to go back from any more."""
        self.set(undo=tuple(each for each in self.state.undo if each.step is not step))

    async def drop_bases(self) -> None:
        """The snapshots that were taken to be read back are of no more use.

        Raises:
            StepFailed: they stay, and the way back with them.
            Ended: somebody cancelled.
        """
        if all(each.step is not UndoStep.DROP_BASES for each in self.state.undo):
            return
        await self.hear(order("drop_bases", SourceOrder(errand=self.errand), type(None)))
        self.set(bases={})
        self.forget_undo(UndoStep.DROP_BASES)

    async def undo_down_to(self, depth: int) -> None:
        """Go back, the latest first, until that many ways back are left. Each is tried until it is done."""
        while len(self.state.undo) > depth:
            undo = self.state.undo[-1]
            try:
                await self._undo(undo)
            except StepFailed as failure:
                await self.park(failure, may_stop=False)
                continue
            self.set(undo=self.state.undo[:-1])

    async def _undo(self, undo: Undo) -> None:
        said = SourceOrder(errand=self.errand, epoch=self.state.epoch)
        match undo.step:
            case UndoStep.RELEASE_SOURCE:
                await heard(order("release_source", said, type(None)))
            case UndoStep.REMOVE_SHELL:
                removed = await heard(order("remove_shell", said, RemovedShell))
                self.set(kept_vdis=removed.kept_vdis)
            case UndoStep.CHANGE_TRACKING_OFF:
                # An attempt to switch it on may have died half-way: the source itself knows whether it was we.
                await heard(order("change_tracking_off", said, type(None)))
            case UndoStep.THAW:
                await heard(order("thaw", said, type(None)))
            case UndoStep.POWER_ON_SOURCE:
                if self.state.started_at is None:
                    # A power-off that a stopped worker still has in its hands is refused from here on (SAFETY 14).
                    self.set(epoch=self.state.epoch + 1)
                    said = said.model_copy(update={"epoch": self.state.epoch})
                    await heard(order("raise_source_epoch", said, type(None)))
                await heard(order("power_on_source", said, type(None)))
                self.set(powered_off_at=None)
            case UndoStep.UNFENCE_SOURCE:
                journal = self.state.fence or FenceJournal()
                unfence = UnfenceOrder(errand=self.errand, journal=journal, epoch=self.state.epoch)
                await heard(order("unfence_source", unfence, type(None)))
                self.set(fence=None)
            case UndoStep.UNDO_OVERRIDES:
                back = UnfenceOrder(
                    errand=self.errand, journal=FenceJournal(), epoch=self.state.epoch, part="overrides"
                )
                await heard(order("unfence_source", back, type(None), summary="overrides of HA, DRS, auto-start"))
                self.set(overrides=None)
            case UndoStep.DROP_BASES:
                await heard(order("drop_bases", said, type(None)))
                self.set(bases={})
            case UndoStep.DROP_TEST:
                await heard(order("drop_test", self.syncing.testing.order_of(self.state.tests), type(None)))
                self.set(test_boot=None)
            case UndoStep.BLOCK_TARGET:
                await self._cutting_over.block_target()

    # -- endings

    def carried(self) -> MigrateVmInput:
        """What the next run begins with: told at the last moment, so that no message is lost."""
        state = self.state.model_copy(update={"passes_this_run": 0, "runs": self.state.runs + 1})
        return self.request.model_copy(update={"state": state})

    async def _end_early(self, end: Ended) -> Report:
        if end.outcome is Phase.ROLLED_BACK:
            if self.state.started_at is not None:
                await self._cutting_over.stop_target()
            await self.undo_down_to(0)
            return await self._over("rolled-back", Phase.ROLLED_BACK, end.code, "somebody rolled it back")
        if self.state.started_at is None:
            await self.undo_down_to(0)
            await self._over("cancelled", Phase.CANCELLED, end.code, "somebody cancelled it; the source is as it was")
        else:
            await self._cutting_over.leave()
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
        await self.record.written()
        return report
