"""After the start: smoke test, proofs, probation; and then nothing of ours stays but the way back by hand."""

import contextlib
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.steps import SourceOrder
    from workflows.probation import Probation
    from workflows.retiring import retire
    from workflows.smoke_testing import SmokeTesting
    from workflows.stepping import StepFailed

if TYPE_CHECKING:
    from workflows.proving import Proving
    from workflows.story import Story


class Finishing:
    """The chapter from the target that was started to the end of the migration."""

    def __init__(self, story: "Story", proving: "Proving") -> None:
        self._story, self._proving = story, proving
        self._smoke = SmokeTesting(story)

    async def finished(self) -> None:
        """The smoke test, the proofs that are still due, the probation, then leave.

        Raises:
            Ended: somebody cancelled or rolled back.
        """
        story = self._story
        await self._smoke.after_start()
        with contextlib.suppress(StepFailed):  # else when it leaves, where nothing of ours may stay
            await story.going_back.drop_bases()
        await self._proving.after_the_start()
        await story.permits.give_back()
        await Probation(story, self._smoke).endured()
        await self.leave(retires=True)

    async def leave(self, *, retires: bool = False) -> None:
        """Nothing of ours stays on the source or the pool; the way back stays: the source is off and whole."""
        story = self._story
        story.set(leaving=True)  # a rollback is refused from here on: better than a yes that nobody obeys
        await self._smoke.look()
        if retires:
            await retire(story)
        await let_go(story)
        notes = [*story.state.notes, "the pre-start snapshot `ferry-pre-start` stays on the target until you remove it"]
        journals = [each for each in (story.state.overrides, story.state.fence) if each]
        changed = ", ".join(f"{name}: {change}" for each in journals for name, change in sorted(each.changes.items()))
        if changed:
            notes.append(f"the source stays off and fenced ({changed})")
        notes += [f"not overridden at the source: {each}" for journal in journals for each in journal.left]
        story.set(undo=(), notes=tuple(notes))


async def let_go(story: "Story") -> None:
    """No change tracking that we switched on, nothing of ours on the pool, no claim on the source."""
    said = SourceOrder(errand=story.errand)
    if story.state.switched_tracking_on:
        await story.insist("change_tracking_off", said, type(None))
    await story.insist("finish_target", story.ref, type(None))
    await story.insist("release_source", said, type(None))
