"""Probation: days in which the target is tested again and again, and a rollback is still possible (SAFETY 17)."""

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.after import Smoke
    from contracts.names import Phase
    from contracts.steps import SourceOrder
    from workflows.smoke_testing import SmokeTesting
    from workflows.stepping import StepFailed, order
    from workflows.timing import STOP_TRYING

if TYPE_CHECKING:
    from workflows.story import Story

TEST_EVERY = timedelta(days=1)
"""A day has what a machine's life has: its night, its backup, its busy hour. A year of it is 5,000 events."""


class Probation:
    """The chapter between the last proof and the end. All that a way back needs stays until it is over."""

    def __init__(self, story: "Story", smoke: SmokeTesting) -> None:
        self._story, self._smoke = story, smoke

    async def endured(self) -> None:
        """Wait, test, wait; what fails, or a source that was switched on, holds it until a human has spoken.

        The last test is at the very end: nothing is retired on the word of yesterday.

        Raises:
            Ended: somebody cancelled or rolled back.
        """
        story = self._story
        if not story.request.probation:
            return
        ends_at = workflow.now() + story.request.probation
        story.set(probation_ends_at=ends_at)
        story.enter(Phase.PROBATION)
        while (left := ends_at - workflow.now()) > timedelta(0):
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: story.rollback_asked or story.cancel_asked,
                    timeout=min(left, TEST_EVERY),
                    timeout_summary="until the next smoke test",
                )
            story.stop_if_asked()
            await self._source_is_off()
            if story.state.started_at is not None:
                await self._smoke.must_pass(story.request.smoke or Smoke(), "in probation")

    async def _source_is_off(self) -> None:
        """Two of one identity are never left alone. A vCenter that does not answer holds nothing up: it may be gone."""
        story = self._story
        while True:
            said = SourceOrder(errand=story.errand)
            try:
                look = order("see_source_off", said, type(None), summary="is it off?", give_up_after=STOP_TRYING)
                return await story.hear(look)
            except StepFailed as failure:
                story.stop_if_asked()
                if failure.code != "source.runs_again":
                    return None
                await story.park(failure)
