"""What a migration holds of the limits that all share: asked for before it takes them, and given back when it rests.

Delta passes take none: they are small, and a migration that may not make them has a longer downtime. Where nothing is
limited there is nothing to ask for, and no command in the history.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Literal

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from contracts.capacity import Ask, Granted, Release
    from contracts.migration import PermitState
    from contracts.names import CAPACITY_ID, RELEASED
    from workflows import timing
    from workflows.stepping import StepFailed, heard, order

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflows.story import Story


class Permitted:
    """``held``: the permits are there."""

    def __init__(self, story: "Story") -> None:
        self._story = story
        self._keeping: asyncio.Task[None] | None = None

    @property
    def limited(self) -> bool:
        """Whether it needs any."""
        return bool(self._story.preflight.limits) and workflow.patched("permits")

    @property
    def held(self) -> bool:
        """Whether it has all that it asked for, or nothing is limited."""
        return self._story.state.permits.granted or not self.limited

    async def granted(self, said: Granted) -> None:
        """The table says so; what was wanted no more goes back."""
        now, run = self._story.state.permits, workflow.info().first_execution_run_id
        if not now.asked or (said.run, said.number) != (run, now.number):
            await self._release(said.run, said.number)
        elif not now.granted:
            self._story.set(permits=now.model_copy(update={"granted": True}))

    async def take(self, what: Literal["copy", "cutover"], unless: "Callable[[], bool]" = lambda: False) -> bool:
        """Wait until all are there.

        Args:
            unless: it is wanted no more.

        Returns:
            False when it is wanted no more: then none is held.

        Raises:
            Ended: somebody cancelled.
        """
        story = self._story
        if self.held:
            return True
        if not story.state.permits.asked:
            # Later than any before it, also where the workflow was reset.
            number = max(story.state.permits.number + 1, int(workflow.now().timestamp() * 1000))
            story.set(permits=PermitState(number=number, asked=True))
        needed = ", ".join(story.preflight.limits)
        story.set(held=f"waits for permits: {needed}")
        try:
            while not self.held and not unless():
                story.stop_if_asked()
                await self._ask(what)
                with contextlib.suppress(TimeoutError):
                    await workflow.wait_condition(
                        lambda: self.held or story.must_stop or unless(),
                        timeout=timing.ASK_AGAIN, timeout_summary="until the permits are asked for again",
                    )  # fmt: skip
            story.stop_if_asked()
        except (Exception, asyncio.CancelledError):
            await self.give_back()
            raise
        finally:
            story.set(held="")
        if not self.held:
            await self.give_back()
            return False
        self._keeping = asyncio.create_task(self._keep(what))
        return True

    async def _keep(self, what: Literal["copy", "cutover"]) -> None:
        """Said now and then, for a copy takes days: a table that was lost and made anew knows of it again."""
        while True:
            await workflow.sleep(timing.SAY_AGAIN, summary="until it says again that it holds permits")
            await self._ask(what, holds=True)

    async def _ask(self, what: Literal["copy", "cutover"], *, holds: bool = False) -> None:
        story, info = self._story, workflow.info()
        ask = Ask(
            holder=info.workflow_id, run=info.first_execution_run_id, number=story.state.permits.number,
            fleet=story.request.fleet, what=what, holds=holds, limits=story.preflight.limits,
        )  # fmt: skip
        with contextlib.suppress(StepFailed):  # asked again later
            await heard(order("ask_for_permits", ask, type(None), summary=f"permits for its {what}"))

    async def give_back(self) -> None:
        """All of them, or the wish for them; also when the workflow is cancelled meanwhile."""
        story = self._story
        now = story.state.permits
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        if not now.asked:
            return
        story.set(permits=PermitState(number=now.number))
        await self._release(workflow.info().first_execution_run_id, now.number)

    async def _release(self, run: str, number: int) -> None:
        table, info = workflow.get_external_workflow_handle(CAPACITY_ID), workflow.info()
        said = Release(holder=info.workflow_id, run=run, number=number)
        telling = asyncio.ensure_future(table.signal(RELEASED, said))
        with contextlib.suppress(FailureError):  # there is no table any more
            await asyncio.shield(telling)
