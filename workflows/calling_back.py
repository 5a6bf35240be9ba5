"""What calls a cutover back before the start, and when it is tried again: the window, and the downtime (SAFETY 17)."""

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.names import Phase
    from cutovers.approving import by_rule, longest_downtime
    from cutovers.holding import overruns_at, windows_of
    from workflows.deadlines import CalledBack
    from workflows.stepping import StepFailed
    from workflows.timing import OVERRUNS

if TYPE_CHECKING:
    from workflows.story import Story


class CallingBack:
    """The clocks of one cutover; a yes outlives them."""

    def __init__(self, story: "Story") -> None:
        self._story = story

    def mind_the_window(self) -> None:
        """When it closes before the start, the source comes back by itself (SAFETY 17)."""
        story = self._story
        window = story.state.window
        if windows_of(story.state, story.request) and window is not None:
            story.deadlines.set(
                window.closes, "cutover.window_closed", f"the window closed at {window.closes:%H:%M} UTC"
            )

    def mind_the_downtime(self, rest: timedelta) -> None:
        """When it is longer than it may be, the source comes back by itself.

        Args:
            rest: what must still come after what is under way.
        """
        story = self._story
        state, request = story.state, story.request
        if state.powered_off_at is None or not state.was_on:
            return
        # Where somebody named a bound there is no older history.
        # What is copied while it is off has no prediction to speak of, so only such a bound counts for it.
        named = longest_downtime(state, request) is not None
        watch_budget = not named and story.preflight.warm and workflow.patched("overrun")
        at = overruns_at(state, request, state.powered_off_at, rest, watch_budget=watch_budget)
        if at is not None:
            off = f"{state.powered_off_at:%H:%M:%S} UTC"
            story.deadlines.set(at, "cutover.overran", f"the source was off since {off}, and there was more to come")

    def as_before(self) -> None:
        """What is known of a cutover that was undone is forgotten."""
        self._story.set(power_off_began=False, powered_off_at=None)
        self._story.set(final_freeze=None, snapshot=None, proofs_sent=())

    async def try_again_later(self, back: CalledBack) -> None:
        """The yes still counts: for the next window, or for the next time that the prediction fits.

        Raises:
            Ended: somebody cancelled while it was asked after too many.
        """
        story = self._story
        if back.code == "cutover.overran" and story.state.snapshot is not None:
            story.set(proof_overran=True)
        self.as_before()
        story.decide(by_rule(story.state, "called-back", workflow.now(), f"{back.code}: {back.message}"), approved=None)
        story.set(
            last_message=f"{back.code}: {back.message}; the source is on again", pass_due=True, sync_requested=True
        )
        if back.code == "cutover.overran":
            story.set(overruns=story.state.overruns + 1)
            if story.state.overruns >= OVERRUNS:
                story.set(approved=None, approvals=(), overruns=0)
                await story.park(StepFailed(back.code, f"{OVERRUNS} times: {back.message}"))
        story.enter(Phase.AWAITING_APPROVAL)
