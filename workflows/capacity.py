"""``Capacity``: the one table of permits, which all fleets and single migrations share. It outlives restarts."""

import asyncio
from datetime import timedelta

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from contracts.capacity import Ask, CapacityState, CapacityStatus, Granted, HoldersAsked, HoldersGone, Release
    from contracts.names import ASKED, CAPACITY, PERMITS_GRANTED, RELEASED, STATUS
    from fleets.permits import Permits
    from workflows.stepping import order
    from workflows.timing import EVENTS_PER_RUN, SEE_HOLDERS


@workflow.defn(name=CAPACITY, failure_exception_types=[ValidationError])
class Capacity:
    """Hears who wants permits and who needs them no more, and tells those that get some."""

    @workflow.init
    def __init__(self, state: CapacityState) -> None:
        self._permits, self._runs = Permits(state), state.runs
        self._granted: list[Ask] = []
        self._changed = True
        self._seen_at = workflow.now()
        self._looking: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, state: CapacityState) -> None:
        """For ever, in runs of bounded length."""
        while not self._long_enough():
            await self._until_something()
            if workflow.now() - self._seen_at >= SEE_HOLDERS and (self._looking is None or self._looking.done()):
                self._seen_at = workflow.now()
                self._looking = asyncio.create_task(self._see_holders())  # who wants something need not wait for it
            self._changed = False
            told, self._granted = [*self._granted, *self._permits.grant(workflow.now())], []
            await asyncio.gather(*(self._tell(ask) for ask in told))
        if self._looking is not None:
            await self._looking
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._permits.carried(self._runs + 1))

    async def _until_something(self) -> None:
        left = self._seen_at + SEE_HOLDERS - workflow.now()
        if left <= timedelta(0):  # a look is under way, and takes its time
            left = SEE_HOLDERS
        busy = bool(self._permits.holding or self._permits.waiting)
        try:
            await workflow.wait_condition(
                lambda: self._changed, timeout=max(left, timedelta(0)) if busy else None,
                timeout_summary="whether those live that hold permits",
            )  # fmt: skip
        except TimeoutError:
            return
        if not busy:
            self._seen_at = workflow.now()

    async def _tell(self, ask: Ask) -> None:
        """Who is not there any more to hear it holds nothing."""
        handle = workflow.get_external_workflow_handle(ask.holder)
        try:
            await handle.signal(PERMITS_GRANTED, Granted(run=ask.run, number=ask.number))
        except FailureError:
            self._permits.forget(ask.holder, ask.run)
            self._changed = True

    async def _see_holders(self) -> None:
        """One that was terminated tells nobody."""
        everybody = (*self._permits.holding.values(), *self._permits.waiting.values())
        known = {held.ask.holder: held.ask.run for held in everybody}
        if not known:
            return
        try:
            gone = await order(
                "see_holders", HoldersAsked(workflows=known), HoldersGone, summary="do they live?",
                give_up_after=SEE_HOLDERS,
            )  # fmt: skip
        except ActivityError:
            return  # another time
        for holder in gone.workflows:
            self._permits.forget(holder, known[holder])
            self._changed = True

    def _long_enough(self) -> bool:
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.get_current_history_length() > EVENTS_PER_RUN

    @workflow.signal(name=ASKED)
    def asked(self, ask: Ask) -> None:
        """A migration wants permits; one that has them already has not heard it, and is told again."""
        if self._permits.ask(ask, workflow.now()):
            self._granted.append(ask)
        self._changed = True

    @workflow.signal(name=RELEASED)
    def released(self, said: Release) -> None:
        """It needs them no more."""
        self._permits.release(said)
        self._changed = True

    @workflow.query(name=STATUS)
    def status(self) -> CapacityStatus:
        """Who holds what, and who waits for what and why."""
        return self._permits.status()
