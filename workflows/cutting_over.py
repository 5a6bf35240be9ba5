"""Cutover: from a human's yes to the call that starts the target (SAFETY 14, 16, 17)."""

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.machine import Power
    from contracts.migration import UndoStep
    from contracts.names import Phase
    from contracts.steps import (
        FenceJournal,
        FenceOrder,
        PoweredOff,
        PowerOffOrder,
        Preflight,
        PreflightOrder,
        SnapshotReport,
        SourceOrder,
    )
    from cutovers.prediction import START
    from workflows.calling_back import CallingBack
    from workflows.deadlines import CalledBack
    from workflows.deciding import approval_facts, ticket_of
    from workflows.late_shutdown import until_it_goes_off
    from workflows.proving import where
    from workflows.stepping import StepFailed, order
    from workflows.telling import open_codes
    from workflows.timing import FINAL_TRIES, REPAIRS

if TYPE_CHECKING:
    from workflows.proving import Proving
    from workflows.story import Story

_STORED = type(None)


class CuttingOver:
    """The chapter from a human's yes to the target that runs."""

    def __init__(self, story: "Story", proving: "Proving") -> None:
        self._story, self._proving = story, proving
        self._calling_back = CallingBack(story)
        self._asked_to_go_off = False

    async def cut_over(self) -> bool:
        """Power off, copy the rest, prove, start.

        Returns:
            True when the target was started (or is ready, for a machine that was off); False when the cutover
            was undone and waits for a new approval.

        Raises:
            StepFailed: it cannot be; the caller undoes the rest.
            Ended: somebody cancelled or rolled back before the start.
        """
        story = self._story
        if not await self._permitted():
            return False
        depth = len(story.state.undo)
        story.enter(Phase.CUTOVER)
        self._asked_to_go_off = False
        self._calling_back.mind_the_window()
        try:
            await self._facts_still_hold()
            story.forget_expired()
            if story.state.approved is None:  # taken back in the meantime
                story.enter(Phase.AWAITING_APPROVAL)
                return False
            await story.syncing.seal_what_is_open()
            await self._power_off()
            await self._final_pass()
            await self._prove_and_start()
        except CalledBack as back:
            story.deadlines.stop_all()
            await story.going_back.undo_down_to(depth)
            await self._calling_back.try_again_later(back)
            return False
        except StepFailed as failure:
            if not failure.asks or story.state.started_at is not None:
                raise
            # What a human must mend is mended with the source running (SAFETY 21).
            story.deadlines.stop_all()
            await story.going_back.undo_down_to(depth)
            self._calling_back.as_before()
            if self._may_still_go_off(failure):
                await until_it_goes_off(story, failure)
                return False
            story.set(approved=None, approvals=())
            await story.park(failure)
            story.enter(Phase.AWAITING_APPROVAL)
            return False
        finally:
            story.deadlines.stop_all()
        return True

    async def _permitted(self) -> bool:
        """Permits are taken while the source runs; where that took long, what was written meanwhile is copied first."""
        story, began = self._story, workflow.now()
        if not story.permits.limited:
            return True
        ready = story.syncing.awaiting.ready
        if not await story.permits.take("cutover", lambda: not ready()):
            return False
        if story.preflight.warm and workflow.now() - began > story.request.delta_interval:
            await story.syncing.until_complete()
        return story.permits.held and ready()

    def _may_still_go_off(self, failure: StepFailed) -> bool:
        """Whether the source may be on its way off though it was powered on again: a no-op while it runs."""
        if failure.code == "source.shutdown_timeout":
            return workflow.patched("late-shutdown")
        return self._asked_to_go_off and self._story.state.was_on and workflow.patched("late-power-off")

    async def _facts_still_hold(self, *, off: bool = False) -> None:
        """The VM is still the one that was approved, and so is where it goes.

        Args:
            off: it must be off.
        """
        story = self._story
        request = story.request
        seen = await story.hear(
            order(
                "preflight",
                PreflightOrder(
                    errand=story.errand,
                    sr=request.sr,
                    networks=request.networks,
                    template=request.template,
                    overrides=request.overrides,
                    vmware_tools=request.vmware_tools,
                ),
                Preflight,
                summary="is it still what was approved?",
            )
        )
        machine = seen.machine
        if off and machine.power is not Power.OFF:
            raise StepFailed("vsphere.powered_on_again", f"{machine.name} is {machine.power.value}")
        now = story.preflight.model_copy(
            update={"machine": machine, "sr_uuid": seen.sr_uuid, "sr_name": seen.sr_name, "networks": seen.networks}
        )
        if ticket_of(approval_facts(now, open_codes(story.state))) != story.state.approval_ticket:
            before = set(approval_facts(story.preflight, ()))
            new = [each for each in approval_facts(now, ()) if each not in before]
            told = f": {'; '.join(new)}" if new else ""
            raise StepFailed("vm.changed", f"{machine.name} is no longer as it was when its shell was made{told}")

    async def _power_off(self) -> None:
        story = self._story
        story.stop_if_asked()
        story.set(power_off_began=True)
        # A power-on of an earlier cutover's way back, in the hands of a stopped worker, is refused from here on.
        story.set(epoch=story.state.epoch + 1)
        await story.hear(
            order("raise_source_epoch", SourceOrder(errand=story.errand, epoch=story.state.epoch), _STORED)
        )
        if workflow.patched("overrides"):
            story.going_back.will_undo(UndoStep.UNDO_OVERRIDES)
            overrides = FenceOrder(errand=story.errand, epoch=story.state.epoch, part="overrides")
            story.set(
                overrides=await story.hear(
                    order("fence_source", overrides, FenceJournal, summary="override HA, DRS and auto-start")
                )
            )
        if story.state.was_on:
            story.going_back.will_undo(UndoStep.POWER_ON_SOURCE)
        request = story.request
        self._asked_to_go_off = True
        off = await story.hear(
            order(
                "power_off_source",
                PowerOffOrder(
                    errand=story.errand,
                    policy=request.power_off,
                    patience=request.power_off_patience,
                    epoch=story.state.epoch,
                    deadline=request.power_off_deadline,
                ),
                PoweredOff,
                summary=f"power off the source ({request.power_off})",
            )
        )
        self._asked_to_go_off = False  # it is off: what comes later powers it on for good
        story.set(powered_off_at=off.at)
        story.stop_if_asked()
        story.going_back.will_undo(UndoStep.UNFENCE_SOURCE)
        fence = await story.hear(
            order("fence_source", FenceOrder(errand=story.errand, epoch=story.state.epoch), FenceJournal)
        )
        story.set(fence=fence)

    async def _final_pass(self) -> None:
        story = self._story
        prediction = story.predict()
        self._calling_back.mind_the_downtime(timedelta(seconds=START) + prediction.proving)
        for _ in range(FINAL_TRIES):
            story.stop_if_asked()
            if await story.syncing.sync_pass(final=True):
                self._calling_back.mind_the_downtime(timedelta(0))
                return
        story.stop_if_asked()
        raise StepFailed("vsphere.freeze_void", "the freeze of the final pass did not hold, several times")

    async def _prove_and_start(self) -> None:
        """Snapshot, proof, `diverged`, start (SAFETY 16); the proof comes after it where the budget is tight."""
        story = self._story
        ref = story.ref
        for again in range(REPAIRS + 1):
            snapshot = await story.hear(order("snapshot_target", ref, SnapshotReport, summary="pre-start snapshot"))
            story.set(snapshot=snapshot)
            part = story.predict().proof
            if part is None:
                break
            different = await self._proving.before_the_start(part)
            if not different:
                break
            if again == REPAIRS or not workflow.patched("repair"):
                raise StepFailed("verify.target_differs", where(different))
            story.set(repaired=(*story.state.repaired, *different))
            await self._final_pass()  # the proof noted what differs as owed
        if workflow.patched("facts-before-start"):
            await self._facts_still_hold(off=True)
        story.stop_if_asked()
        story.deadlines.leave_room_for(timedelta(seconds=START))
        starts = story.request.start_target if story.request.start_target is not None else story.state.was_on
        if workflow.patched("never-ran"):
            story.going_back.will_undiverge(ref.epoch)
        await story.hear(order("diverge_target", ref, _STORED, summary="target parts from the source here"))
        story.stop_if_asked()
        story.going_back.will_undo(UndoStep.BLOCK_TARGET)
        await story.hear(order("unblock_target", ref, _STORED))
        story.stop_if_asked()
        if not starts:
            return  # it was off and stays off; anyone may start it from here on
        # From here on an unknown outcome counts as started (SAFETY 17): the time is set before the call.
        story.deadlines.stop_all()
        story.going_back.forget_undo(UndoStep.UNDIVERGE_TARGET)
        story.set(started_at=workflow.now())
        story.enter(Phase.START)
        # A cancel would leave both machines off: it ends the watching of a target that runs (SAFETY 17).
        see_through = workflow.patched("start-seen-through")
        while True:
            try:
                start = order("start_target", ref, _STORED, summary="start on the target")
                await story.hear(start, see_through=see_through)
                break
            except StepFailed as failure:
                await story.park(failure)
        story.set(started_at=workflow.now())
