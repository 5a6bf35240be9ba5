"""Passes: initial sync and delta syncs, until the cutover may begin."""

import asyncio
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.workflow import ActivityHandle

with workflow.unsafe.imports_passed_through():
    from contracts.migration import PassSummary, UndoStep
    from contracts.names import Phase
    from contracts.steps import CopyOrder, CopyReport, Freeze, FreezeOrder, SealOrder, SealReport, ShellDisk
    from workflows.awaiting import Awaiting
    from workflows.pass_summary import summary_of
    from workflows.reading_back import ReadingBack
    from workflows.stepping import CALLED_OFF, StepFailed, heard, order
    from workflows.test_booting import TestBooting
    from workflows.timing import PASSES_PER_RUN

if TYPE_CHECKING:
    from workflows.story import Story


class Syncing:
    """The chapter that ends when the cutover may begin."""

    def __init__(self, story: "Story") -> None:
        self._story = story
        self.awaiting = Awaiting(story)
        self._reading_back = ReadingBack(story, self.awaiting)
        self.testing = TestBooting(story)

    async def until_cutover(self) -> bool:
        """Passes until somebody approves: True; or until a new run is due: False.

        A machine without change tracking has no passes while it runs: its one pass is the cutover's.
        """
        story = self._story
        if story.preflight.warm and not story.state.initial_done:
            story.enter(Phase.INITIAL_SYNC)
            await self.until_complete()
            await story.permits.give_back()
            story.set(initial_done=True)
        self.awaiting.foresee()
        while not await self.awaiting.may_cut_over():
            story.stop_if_asked()  # before a new run, which would not know of it (SAFETY 20)
            if self._new_run_is_due():
                await story.record.settled()
                await story.fleet.told()
                story.stop_if_asked()  # who cancelled meanwhile is heard too
                return False
            await self._reading_back.between()
            await self.testing.if_asked()
            await self.awaiting.next_pass()
            if await self.awaiting.may_cut_over() or story.state.paused or story.state.test_boot:
                continue
            if story.preflight.warm:
                await self.until_complete()
                story.set(pass_due=False)
                self.awaiting.foresee()
        return True

    def _new_run_is_due(self) -> bool:
        state = self._story.state
        return state.passes_this_run >= PASSES_PER_RUN or workflow.info().is_continue_as_new_suggested()

    async def until_complete(self, *, final: bool = False) -> None:
        """One pass, and further ones for what was cut or void, until nothing is owed.

        Raises:
            StepFailed: no human can mend it.
            Ended: somebody cancelled.
        """
        story = self._story
        while True:
            story.stop_if_asked()
            if story.state.paused:
                await story.permits.give_back()
                await self.awaiting.until_resumed()
                continue
            if not story.state.initial_done and not await story.permits.take("copy", lambda: story.state.paused):
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
        await self.seal_what_is_open()
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
        seal = SealOrder(errand=story.errand, freeze=freeze, complete=complete)
        sealed = await (self._seal_at_once(seal) if final and story.state.was_on else self._seal(seal))
        story.set(undo=story.state.undo[:depth])
        summary = summary_of(
            number, copies, sealed, seconds=(workflow.now() - began).total_seconds(), complete=complete,
            disks=story.shell.disks, before=story.state.passes,
        )  # fmt: skip
        self._count(copies, summary)
        if failure is not None:
            raise failure
        if sealed.void and final and sealed.reason.startswith("vsphere.powered_on_again"):
            raise StepFailed("vsphere.powered_on_again", sealed.reason)
        return complete and not sealed.void

    async def _seal(self, seal: SealOrder) -> SealReport:
        summary = f"seal pass {seal.freeze.pass_no}, thaw"
        return await self._story.insist("seal", seal, SealReport, summary=summary)

    async def _seal_at_once(self, seal: SealOrder) -> SealReport:
        """Of the final pass: a human is not asked while the source is off, so it is sealed when that runs again.

        Raises:
            StepFailed: it could not be sealed; the freeze is the way back's to thaw.
        """
        try:
            return await heard(order("seal", seal, SealReport, summary=f"seal pass {seal.freeze.pass_no}, thaw"))
        except StepFailed as failure:
            if workflow.patched("seal-later"):
                self._story.set(unsealed=seal.model_copy(update={"complete": False, "given_up": True}))
                raise
            await self._story.park(failure, may_stop=False)
            return await self._seal(seal)

    async def seal_what_is_open(self) -> None:
        """The final pass of a cutover that was undone: nothing is copied, and nothing powered off, before that.

        Raises:
            StepFailed: it cannot be sealed yet.
        """
        if self._story.state.unsealed is not None:
            await self._story.hear(order("seal", self._story.state.unsealed, SealReport, summary="seal the undone"))
            self._story.set(unsealed=None)

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

    def _count(self, copies: list[CopyReport], summary: PassSummary) -> None:
        story = self._story
        told = {copy.disk_id for copy in copies if copy.kind != "delta"}
        if story.state.distrust and told >= {disk.disk_id for disk in story.shell.disks}:
            story.set(distrust="")  # whatever of it is not done is owed, or to be compared: the journal knows
        story.record.passed(summary)
        allocated = story.state.bytes_allocated
        if summary.kind == "initial":
            allocated = max(allocated, summary.bytes_planned)
        story.set(
            passes=(*story.state.passes, summary)[-500:],
            passes_this_run=story.state.passes_this_run + 1,
            bytes_allocated=allocated,
        )


def _failed(handle: "asyncio.Task[CopyReport]") -> bool:
    return handle.cancelled() or handle.exception() is not None
