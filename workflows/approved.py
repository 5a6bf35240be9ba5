"""Steps on the source that the request approved: taken once it is ours, each recorded as the decision that it was."""

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.approved_steps import ApprovedStep, StepDone, StepOrder
    from contracts.migration import Decision
    from contracts.steps import Preflight

if TYPE_CHECKING:
    from workflows.story import Story


async def take_approved_steps(story: "Story", found: Preflight) -> None:
    """In their order, whatever the order in which they were written.

    Raises:
        Ended: somebody cancelled meanwhile.
        StepFailed: one will not succeed.
    """
    for step in ApprovedStep:
        reason = story.request.approved_steps.get(step)
        if reason is None:
            continue
        order = StepOrder(
            errand=story.errand,
            step=step,
            snapshots=tuple(each.ref for each in found.machine.snapshots),
            epoch=story.state.epoch,
        )
        taken = await story.step("take_approved_step", order, StepDone, summary=f"approved step: {step.value}")
        told = ", ".join(taken.done) or "nothing was left to do"
        story.set(notes=(*story.state.notes, f"{step.value} (approved: {reason}): {told}"))
        story.decide(
            Decision(decision=step.value, who="the request", at=workflow.now(), note=reason, phase=story.state.phase),
            approved=None,
        )
