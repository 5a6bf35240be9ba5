"""Between two passes: the wait for the next one, for a human's yes, and for a window in which the cutover may begin."""

import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.migration import Decision
    from contracts.names import Phase
    from contracts.steps import CalendarAnswer, CalendarOrder
    from cutovers.approving import expires_next
    from cutovers.holding import HOLDS, calendar_is_due, hold, windows_of
    from cutovers.prediction import asks_now
    from workflows.deciding import refused
    from workflows.stepping import order
    from workflows.telling import proof_told

if TYPE_CHECKING:
    from workflows.story import Story


class Awaiting:
    """What the passes give way to: whether it may be cut over now, and when to look again."""

    def __init__(self, story: "Story") -> None:
        self._story = story

    def foresee(self) -> None:
        """Predict the downtime, and tell whether it is time to ask."""
        story = self._story
        state, request = story.state, story.request
        prediction = story.predict()
        story.set(
            predicted_downtime_s=prediction.downtime.total_seconds(),
            predicted_proof=proof_told(prediction.proof, state),
        )
        if state.phase is Phase.AWAITING_APPROVAL:
            return
        warm = story.preflight.warm and state.was_on
        if asks_now(prediction, state.passes, request.downtime_budget, request.max_passes, warm=warm):
            if prediction.downtime > request.downtime_budget:
                story.set(last_message="the predicted downtime does not fit its budget")
            story.enter(Phase.AWAITING_APPROVAL)
        elif state.phase is not Phase.DELTA_SYNC:
            story.enter(Phase.DELTA_SYNC)

    async def may_cut_over(self) -> bool:
        """Whether it is approved, and nothing holds it."""
        story = self._story
        if calendar_is_due(story.state, story.request, workflow.now()):
            await self._look_at_the_calendar()
        story.forget_expired()
        state, request = story.state, story.request
        if state.paused:
            return False
        if request.approval == "auto" and state.approved is None and not refused(state.decisions):
            self._approve_by_itself()
        self._tell_what_holds()
        return self.ready()

    def _approve_by_itself(self) -> None:
        """`approval: auto`, once it would be asked for and the downtime fits, or passes bring it no nearer."""
        story = self._story
        state, request = story.state, story.request
        fits = state.predicted_downtime_s is not None and (
            state.predicted_downtime_s <= request.downtime_budget.total_seconds()
        )
        asks = state.phase is Phase.AWAITING_APPROVAL
        if asks and (fits or len(state.passes) >= request.max_passes or not story.preflight.warm):
            story.decide(
                Decision(
                    decision="approved",
                    who="approval: auto",
                    at=workflow.now(),
                    approval_ticket=state.approval_ticket,
                    phase=state.phase,
                    predicted_downtime_s=state.predicted_downtime_s,
                    passes=len(state.passes),
                ),
                approved=True,
            )

    def ready(self) -> bool:
        """Approved, held by nothing, and no pass that must come first."""
        story = self._story
        state = story.state
        if state.approved is None or not state.initial_done | (not story.preflight.warm):
            return False
        if state.pass_due and story.preflight.warm:
            return False
        return hold(state, story.request, workflow.now()) is None

    async def _look_at_the_calendar(self) -> None:
        story = self._story
        windows = windows_of(story.state, story.request)
        said = CalendarOrder(windows=windows, after=workflow.now())
        answer = await story.hear(order("next_window", said, CalendarAnswer, summary="which window is next?"))
        if windows == windows_of(story.state, story.request):  # else somebody set others meanwhile
            story.set(window=answer.window, no_window_left=answer.window is None)

    def _tell_what_holds(self) -> None:
        """What a human should see to is told as such, though passes go on."""
        story = self._story
        found = hold(story.state, story.request, workflow.now())
        if found is not None and story.state.approved is None and found.code != "cutover.no_window":
            found = None
        code, message = (found.code, found.message) if found is not None else ("", "")
        story.set(held=message)
        if code != story.state.needs_human and (code or story.state.needs_human in HOLDS):
            story.tell_human(code, message)
        elif code:
            story.set(needs_human_message=message)

    async def next_pass(self) -> None:
        """Until the interval is over, or somebody wants something. The first delta follows the first pass at once."""
        story = self._story
        state, request = story.state, story.request
        hurry = state.phase is Phase.DELTA_SYNC and (request.approval == "auto" or len(state.passes) == 1)
        interval = timedelta(0) if hurry else request.delta_interval
        if not story.preflight.warm:
            interval = timedelta(days=3650)  # nothing to copy while it runs: only a human's word ends the wait
        if not state.paused and not state.sync_requested and interval > timedelta(0):
            story.next_pass_at = workflow.now() + interval
            with contextlib.suppress(TimeoutError):
                await self._until_wanted(story.next_pass_at)
            story.next_pass_at = None
        if story.state.paused:
            await self.until_resumed()
        story.set(sync_requested=False)
        story.stop_if_asked()

    async def _until_wanted(self, at: datetime) -> None:
        """Until somebody wants something. What is said meanwhile may bring a moment that is sooner: it is waited anew.

        Raises:
            TimeoutError: it is time for a pass, or to look again.
        """
        story = self._story
        due, said = self._due(), story.state.approvals

        def something_is_new() -> bool:
            return self.wanted() or story.state.paused or self._due() != due or story.state.approvals != said

        while True:
            left = min(at, due or at) - workflow.now()
            await workflow.wait_condition(something_is_new, timeout=left, timeout_summary="until the next delta pass")
            if self.wanted() or story.state.paused:
                return
            self._tell_what_holds()
            due, said = self._due(), story.state.approvals

    def _due(self) -> datetime | None:
        """When a window opens or closes for a cutover that waits for it, or a yes expires."""
        story, now = self._story, workflow.now()
        held = hold(story.state, story.request, now) if story.state.approved is not None else None
        moments = [held.until if held is not None else None, expires_next(story.state)]
        return min((moment for moment in moments if moment is not None and moment > now), default=None)

    async def until_resumed(self) -> None:
        """Somebody paused it: until they say otherwise, or stop it."""
        story = self._story
        await workflow.wait_condition(lambda: not story.state.paused or story.cancel_asked or story.rollback_asked)

    def wanted(self) -> bool:
        """Whether somebody wants something that the waiting between passes gives way to."""
        story = self._story
        state = story.state
        if state.sync_requested or state.test_boot or story.cancel_asked or story.rollback_asked:
            return True
        return self.ready() or calendar_is_due(state, story.request, workflow.now())
