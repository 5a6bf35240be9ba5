"""A guest that goes off only after the cutover gave it up, or that is shut down by hand as the human was told to."""

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.migration import UndoStep
    from contracts.names import Phase
    from contracts.steps import SourceOrder
    from workflows.stepping import CALLED_OFF, StepFailed, heard, order

if TYPE_CHECKING:
    from workflows.story import Story


async def until_it_goes_off(story: "Story", failure: StepFailed) -> None:
    """A shutdown that comes late is what the yes was for, so the next cutover uses it.

    Where the yes counts no more by then, or may not be used now, the source is powered on again: nobody wants
    it off. A retry means that it shall run on; the next cutover then takes a new yes.

    Raises:
        Ended: somebody cancelled.
        StepFailed: it cannot be watched, and nobody can mend that.
    """
    depth = len(story.state.undo)
    story.going_back.will_undo(UndoStep.POWER_ON_SOURCE)  # for a cancel in the very moment
    while True:
        off = order("source_goes_off", SourceOrder(errand=story.errand), bool, summary="does it shut down after all?")
        try:
            await story.park(failure, or_when=off.done)
        finally:
            if not off.done():
                off.cancel()
        try:
            gone = await heard(off)
            break
        except StepFailed as blind:
            gone = False
            if blind.code == CALLED_OFF or not workflow.patched("late-shutdown-blind"):
                break
            if not blind.asks:
                raise
            await story.park(blind)  # who cannot look must not say that it runs: mended, it is watched again
    story.forget_expired()
    taken = gone and story.syncing.awaiting.ready()
    if not taken:
        story.set(approved=None, approvals=())
    if gone and not taken:
        await story.going_back.undo_down_to(depth)
    story.set(undo=story.state.undo[:depth])
    story.enter(Phase.AWAITING_APPROVAL)
