"""Passes: initial sync, delta syncs, and the wait for a human's yes."""

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.workflow import ActivityHandle

with workflow.unsafe.imports_passed_through():
    from contracts.migration import Decision, PassSummary, UndoStep
    from contracts.names import Phase
    from contracts.steps import (
        CalendarAnswer,
        CalendarOrder,
        CopyOrder,
        CopyReport,
        Freeze,
        FreezeOrder,
        SealOrder,
        SealReport,
        ShellDisk,
    )
    from workflows.approving import expires_next
    from workflows.deciding import refused
    from workflows.holding import HOLDS, calendar_is_due, hold, windows_of
    from workflows.reading_back import ReadingBack
    from workflows.stepping import CALLED_OFF, StepFailed, heard, order
    from workflows.telling import proof_told
    from workflows.test_booting import TestBooting
    from workflows.timing import PASSES_PER_RUN

if TYPE_CHECKING:
    from workflows.story import Story


class Syncing:
    """The chapter that ends when the cutover may begin."""

    def __init__(self, story: "Story") -> None:
        self._story = story
        self._reading_back = ReadingBack(story, self)
        self.testing = TestBooting(story)

    async def until_cutover(self) -> bool:
        """Passes until somebody approves: True; or until a new run is due: False.

        A machine without change tracking has no passes while it runs: its one pass is the cutover's.
        """
        story = self._story
        if story.preflight.warm and not story.state.initial_done:
            story.enter(Phase.INITIAL_SYNC)
            await self._until_complete()
            story.set(initial_done=True)
        self.foresee()
        while not await self._may_cut_over():
            story.stop_if_asked()  # before a new run, which would not know of it (SAFETY 20)
            if self._new_run_is_due():
                return False
            await self._reading_back.between()
            await self.testing.if_asked()
            await self._wait_for_next_pass()
            if await self._may_cut_over() or story.state.paused or story.state.test_boot:
                continue
            if story.preflight.warm:
                await self._until_complete()
                story.set(pass_due=False)
                self.foresee()
        return True

    async def copy_whole(self, *, final: bool) -> None:
        """Passes until one is complete: where nobody waits for a cutover.

        Raises:
            StepFailed, Ended.
        """
        await self._until_complete(final=final)

    def _new_run_is_due(self) -> bool:
        state = self._story.state
        return state.passes_this_run >= PASSES_PER_RUN or workflow.info().is_continue_as_new_suggested()

    async def _may_cut_over(self) -> bool:
        """Whether it is approved, and nothing holds it."""
        story = self._story
        if calendar_is_due(story.state, story.request, workflow.now()):
            await self._look_at_the_calendar()
        story.forget_expired()
        state, request = story.state, story.request
        if state.paused:
            return False
        if request.approval == "auto" and state.approved is None and not refused(state.decisions):
            fits = state.predicted_downtime_s is not None and (
                state.predicted_downtime_s <= request.downtime_budget.total_seconds()
            )
            ready = state.phase is Phase.AWAITING_APPROVAL
            if ready and (fits or len(state.passes) >= request.max_passes or not story.preflight.warm):
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
        self._tell_what_holds()
        return self.ready()

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
        deltas = [each for each in state.passes if each.kind != "initial"]
        fits = prediction.downtime <= request.downtime_budget
        enough = len(state.passes) >= request.max_passes or not story.preflight.warm or not story.state.was_on
        if enough or (fits and deltas):
            if not fits:
                story.set(last_message="the predicted downtime does not fit its budget")
            story.enter(Phase.AWAITING_APPROVAL)
        elif state.phase is not Phase.DELTA_SYNC:
            story.enter(Phase.DELTA_SYNC)

    async def _wait_for_next_pass(self) -> None:
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
            await self._until_resumed()
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

    async def _until_resumed(self) -> None:
        story = self._story
        await workflow.wait_condition(lambda: not story.state.paused or story.cancel_asked or story.rollback_asked)

    def wanted(self) -> bool:
        """Whether somebody wants something that the waiting between passes gives way to."""
        story = self._story
        state = story.state
        if state.sync_requested or state.test_boot or story.cancel_asked or story.rollback_asked:
            return True
        return self.ready() or calendar_is_due(state, story.request, workflow.now())

    async def _until_complete(self, *, final: bool = False) -> None:
        """One pass, and further ones for what was cut or void, until nothing is owed or somebody pauses it."""
        story = self._story
        while True:
            story.stop_if_asked()
            if story.state.paused:
                await self._until_resumed()
                continue
            try:
                complete = await self.sync_pass(final=final)
            except StepFailed as failure:
                if not failure.asks:
                    raise
                await story.park(failure)
                continue
            if complete:
                return

    async def sync_pass(self, *, final: bool = False) -> bool:
        """Freeze, copy all disks, seal. True when every disk's part is on the target.

        Raises:
            StepFailed: after the source was thawed.
        """
        story = self._story
        number = story.state.pass_no + 1
        story.set(pass_no=number)
        depth = len(story.state.undo)
        story.going_back.will_undo(UndoStep.THAW)
        began = workflow.now()
        failure: StepFailed | None = None
        copies: list[CopyReport] = []
        try:
            freeze = await story.hear(
                order(
                    "freeze",
                    FreezeOrder(errand=story.errand, pass_no=number, final=final),
                    Freeze,
                    summary=f"freeze for pass {number}",
                )
            )
        except StepFailed:
            await story.going_back.undo_down_to(depth)
            raise
        if final:
            story.set(final_freeze=freeze)
        try:
            copies = await self._copy_all(freeze, final=final)
        except StepFailed as failed:
            failure = failed
        complete = failure is None and all(copy.complete for copy in copies)
        sealed = await story.insist(
            "seal",
            SealOrder(errand=story.errand, freeze=freeze, complete=complete),
            SealReport,
            summary=f"seal pass {number}, thaw",
        )
        story.set(undo=story.state.undo[:depth])
        self._count(number, copies, (workflow.now() - began).total_seconds(), complete, sealed)
        if failure is not None:
            raise failure
        if sealed.void and final and sealed.reason.startswith("vsphere.powered_on_again"):
            raise StepFailed("vsphere.powered_on_again", sealed.reason)
        return complete and not sealed.void

    async def _copy_all(self, freeze: Freeze, *, final: bool) -> list[CopyReport]:
        """All disks at once, and again those that a changed limit cut: they go on with it, in the same pass."""
        story = self._story
        reports: dict[str, CopyReport] = {}
        while True:
            limit = story.bandwidth
            left = [disk for disk in story.shell.disks if not (done := reports.get(disk.disk_id)) or not done.complete]
            called_off = await self._copy_some(freeze, left, reports, final=final)
            if story.bandwidth == limit or self._stopped(final):
                break
        if called_off:  # before it came to anything: nothing of it counts, so the pass is cut
            return [*reports.values(), CopyReport(disk_id="", pass_no=freeze.pass_no, complete=False)]
        return list(reports.values())

    def _stopped(self, final: bool) -> bool:
        story = self._story
        return story.must_stop or (story.state.paused and not final)

    async def _copy_some(
        self, freeze: Freeze, disks: list[ShellDisk], reports: dict[str, CopyReport], *, final: bool
    ) -> bool:
        """A pause, a cancel, another limit, or the failure of one cuts the others (SAFETY 4, 10).

        Returns:
            Whether one was called off before it could tell what it had done.
        """
        story = self._story
        limit = story.bandwidth
        handles = {disk.disk_id: self._copy(freeze, disk) for disk in disks}

        def must_cut() -> bool:
            if self._stopped(final) or story.bandwidth != limit:
                return True
            return any(handle.done() and _failed(handle) for handle in handles.values())

        await workflow.wait_condition(lambda: all(each.done() for each in handles.values()) or must_cut())
        for handle in handles.values():
            if not handle.done():
                handle.cancel()
        failures: list[StepFailed] = []
        for disk_id, handle in handles.items():
            try:
                reports[disk_id] = await heard(handle)
            except StepFailed as failed:
                failures.append(failed)
        for failure in failures:
            if failure.code != CALLED_OFF:
                raise failure
        return bool(failures)

    def _copy(self, freeze: Freeze, disk: ShellDisk) -> ActivityHandle[CopyReport]:
        story = self._story
        return order(
            "copy_disk",
            CopyOrder(
                errand=story.errand,
                pass_no=freeze.pass_no,
                freeze=freeze,
                disk_id=disk.disk_id,
                target_disk=disk,
                segment_bytes=story.request.segment_bytes,
                bandwidth=story.bandwidth,
                host=story.preflight.machine.host,
                distrust=story.state.distrust,
            ),
            CopyReport,
            summary=f"copy {disk.slot}, pass {freeze.pass_no}",
        )

    def _count(self, number: int, copies: list[CopyReport], seconds: float, complete: bool, sealed: SealReport) -> None:
        story = self._story
        kinds = {copy.kind for copy in copies if copy.disk_id}
        told = {copy.disk_id for copy in copies if copy.kind != "delta"}
        if story.state.distrust and told >= {disk.disk_id for disk in story.shell.disks}:
            story.set(distrust="")  # whatever of it is not done is owed, or to be compared: the journal knows
        summary = PassSummary(
            pass_no=number,
            kind=next(kind for kind in ("full", "compare", "initial", "delta") if kind in kinds or kind == "delta"),
            bytes_sent=sum(copy.bytes_sent for copy in copies),
            bytes_sent_again=sum(copy.bytes_sent_again for copy in copies),
            bytes_planned=sum(copy.bytes_planned for copy in copies),
            seconds=seconds,
            complete=complete and not sealed.void,
            rewritten=sealed.rewritten,
            reason=sealed.reason or "; ".join(sorted({copy.reason for copy in copies if copy.reason})),
            **self._read_by(copies),
        )
        story.record.passed(summary)
        allocated = story.state.bytes_allocated
        if summary.kind == "initial":
            allocated = max(allocated, summary.bytes_planned)
        story.set(
            passes=(*story.state.passes, summary)[-500:],
            passes_this_run=story.state.passes_this_run + 1,
            bytes_allocated=allocated,
        )

    def _read_by(self, copies: list[CopyReport]) -> dict[str, str]:
        """The transports of a pass and why, told per disk where they differ; the reasons only when they change."""
        story = self._story
        slots = {disk.disk_id: disk.slot for disk in story.shell.disks}
        used = {slots[copy.disk_id]: copy for copy in copies if copy.disk_id in slots and copy.transport}

        def told(values: dict[str, str]) -> str:
            each = set(values.values())
            return "; ".join(f"{slot}: {value}" for slot, value in values.items()) if len(each) > 1 else "".join(each)

        reason = told({slot: copy.transport_reason for slot, copy in used.items()})
        last = next((each.transport_reason for each in reversed(story.state.passes) if each.transport_reason), "")
        return {
            "transport": told({slot: copy.transport for slot, copy in used.items()}),
            "transport_reason": "" if reason == last else reason,
        }


def _failed(handle: "asyncio.Task[CopyReport]") -> bool:
    return handle.cancelled() or handle.exception() is not None
