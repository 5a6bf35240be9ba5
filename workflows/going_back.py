"""The way back: each step is registered before the deed, and undone the latest first (SAFETY 14, 17, 20)."""

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.migration import Undo, UndoStep
    from contracts.steps import FenceJournal, NeverRan, NeverRanOrder, RemovedShell, SourceOrder, UnfenceOrder
    from workflows.stepping import StepFailed, heard, order
    from workflows.timing import STOP_TRYING

if TYPE_CHECKING:
    from workflows.story import Story

_OF_THE_CUTOVER = (UndoStep.UNDO_OVERRIDES, UndoStep.POWER_ON_SOURCE, UndoStep.UNFENCE_SOURCE)


class GoingBack:
    """The undo list of a migration; before the start it is gone along by itself, after it only by a rollback."""

    def __init__(self, story: "Story") -> None:
        self._story = story

    def will_undo(self, step: UndoStep, argument: str = "") -> None:
        """Register a way back before the deed (SAFETY 20)."""
        story = self._story
        story.set(undo=(*story.state.undo, Undo(step=step, argument=argument)))

    def forget_undo(self, step: UndoStep) -> None:
        """There is nothing to go back from any more."""
        story = self._story
        story.set(undo=tuple(each for each in story.state.undo if each.step is not step))

    async def drop_bases(self) -> None:
        """The snapshots that were taken to be read back are of no more use.

        Raises:
            StepFailed: they stay, and the way back with them.
            Ended: somebody cancelled.
        """
        story = self._story
        if all(each.step is not UndoStep.DROP_BASES for each in story.state.undo):
            return
        await story.hear(order("drop_bases", SourceOrder(errand=story.errand), type(None)))
        story.set(bases={})
        self.forget_undo(UndoStep.DROP_BASES)

    async def undo_down_to(self, depth: int) -> None:
        """Go back, the latest first, until that many ways back are left. Each is tried until it is done."""
        story = self._story
        while len(story.state.undo) > depth:
            undo = story.state.undo[-1]
            try:
                await self._undo(undo)
            except StepFailed as failure:
                await story.park(failure, may_stop=False)
                continue
            story.set(undo=story.state.undo[:-1])

    async def _undo(self, undo: Undo) -> None:
        story = self._story
        said = SourceOrder(errand=story.errand, epoch=story.state.epoch)
        match undo.step:
            case UndoStep.RELEASE_SOURCE:
                await heard(order("release_source", said, type(None)))
            case UndoStep.REMOVE_SHELL:
                removed = await heard(order("remove_shell", said, RemovedShell))
                story.set(kept_vdis=removed.kept_vdis)
            case UndoStep.CHANGE_TRACKING_OFF:
                # An attempt to switch it on may have died half-way: the source itself knows whether it was we.
                await heard(order("change_tracking_off", said, type(None)))
            case UndoStep.THAW:
                await heard(order("thaw", said, type(None)))
            case UndoStep.POWER_ON_SOURCE:
                if story.state.started_at is None:
                    # A power-off that a stopped worker still has in its hands is refused from here on (SAFETY 14).
                    story.set(epoch=story.state.epoch + 1)
                    said = said.model_copy(update={"epoch": story.state.epoch})
                    await heard(order("raise_source_epoch", said, type(None)))
                await heard(order("power_on_source", said, type(None)))
                story.set(powered_off_at=None)
            case UndoStep.UNFENCE_SOURCE:
                journal = story.state.fence or FenceJournal()
                unfence = UnfenceOrder(errand=story.errand, journal=journal, epoch=story.state.epoch)
                await heard(order("unfence_source", unfence, type(None)))
                story.set(fence=None)
            case UndoStep.UNDO_OVERRIDES:
                back = UnfenceOrder(
                    errand=story.errand, journal=FenceJournal(), epoch=story.state.epoch, part="overrides"
                )
                await heard(order("unfence_source", back, type(None), summary="overrides of HA, DRS, auto-start"))
                story.set(overrides=None)
            case UndoStep.DROP_BASES:
                await heard(order("drop_bases", said, type(None)))
                story.set(bases={})
            case UndoStep.DROP_TEST:
                await heard(order("drop_test", story.syncing.testing.order_of(story.state.tests), type(None)))
                story.set(test_boot=None)
            case UndoStep.BLOCK_TARGET:
                await self._block_target()
            case UndoStep.UNDIVERGE_TARGET:
                await self._undiverge_target(int(undo.argument))

    def will_undiverge(self, cutover: int) -> None:
        """As the last thing of a cutover's way back: the source does not wait for the store to come on again.

        Args:
            cutover: the epoch in which the target is marked as diverged.
        """
        story = self._story
        ways_back = list(story.state.undo)
        first = next((at for at, each in enumerate(ways_back) if each.step in _OF_THE_CUTOVER), len(ways_back))
        ways_back.insert(first, Undo(step=UndoStep.UNDIVERGE_TARGET, argument=str(cutover)))
        story.set(undo=tuple(ways_back))

    async def _undiverge_target(self, cutover: int) -> None:
        """The way back from the mark of divergence: it goes only where it is certain that the target never ran.

        Else it stays, and the next pass is refused (`target.diverged`): what somebody's start has written there is
        neither known nor ours to write over.

        Raises:
            StepFailed: what a human can mend keeps it from being looked at.
        """
        story = self._story
        ref = story.ref
        said = NeverRanOrder(errand=ref.errand, vm=ref.vm, epoch=ref.epoch, disk_ids=ref.disk_ids, cutover=cutover)
        try:
            seen = await heard(order("undiverge_target", said, NeverRan, summary="did the target never run?"))
        except StepFailed as failure:
            if failure.asks:
                raise
            seen = NeverRan(reason=f"{failure.code}: {failure.message}")
        if seen.reason:
            told = f"the target counts as one that has run: {seen.reason}"
            story.set(notes=(*story.state.notes, told))

    async def _block_target(self) -> None:
        """The way back from an unblocked target that was not started: nobody may start it beside the source."""
        story = self._story
        story.set(epoch=story.state.epoch + 1)
        for name in ("block_target", "raise_target_epoch"):
            await heard(order(name, story.ref, type(None)))

    async def stop_target(self) -> None:
        """Rollback after the start: block, stop, see it halted, raise the epoch (SAFETY 17)."""
        story = self._story
        story.set(epoch=story.state.epoch + 1)
        ref = story.ref
        for name in ("block_target", "raise_target_epoch", "stop_target"):
            await story.insist(name, ref, type(None), give_up_after=STOP_TRYING)
        self.forget_undo(UndoStep.BLOCK_TARGET)  # done here
        await story.insist("raise_source_epoch", SourceOrder(errand=story.errand, epoch=story.state.epoch), type(None))
