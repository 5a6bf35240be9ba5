"""The source of a done migration gets a name and a note that say so. Its removal is another's word (SAFETY 22)."""

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.after import Retired, RetireOrder
    from contracts.steps import Errand
    from workflows.stepping import StepFailed, heard, order

if TYPE_CHECKING:
    from workflows.story import Story


async def retire(story: "Story") -> None:
    """As the request says; by default after a probation only. What fails is a note: the source is off and fenced."""
    request, state = story.request, story.state
    if (request.retire or ("rename" if request.probation else "none")) == "none":
        return
    if story.errand.read_only:
        story.set(notes=(*state.notes, "the source could not be renamed (free licence)"))
        return
    said = retire_order(story.errand, state.epoch, story.preflight.pool, story.shell.vm)
    try:
        retired = await heard(order("retire_source", said, Retired, summary="rename and annotate the source"))
    except StepFailed as failure:
        note = f"the source was not renamed: {failure.code}: {failure.message}; `ferry retire` tries again"
        story.set(notes=(*state.notes, note))
        return
    story.set(retired_as=retired.name)


def retire_order(errand: Errand, epoch: int, pool: str, target_vm: str) -> RetireOrder:
    """The end of its new name, and its note; the day is the workflow's."""
    today = workflow.now()
    return RetireOrder(
        errand=errand,
        epoch=epoch,
        suffix=f"-migrated-{today:%Y%m%d}",
        annotation=(
            f"Migrated by Ferry to {pool or errand.target} on {today:%Y-%m-%d}: VM {target_vm} there "
            f"(workflow {errand.workflow}). Leave it off: it is the same machine. "
            "`ferry retire VM --remove` removes it for good."
        ),
    )
