"""Reading the target back while the source still runs, where the downtime has no time for all of it."""

import contextlib
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.migration import UndoStep
    from contracts.steps import BaseReport, ProofOrder, ProofReport, ShellRef
    from workflows.stepping import StepFailed, heard, order
    from workflows.timing import REPAIRS

if TYPE_CHECKING:
    from workflows.awaiting import Awaiting
    from workflows.story import Story


class ReadingBack:
    """Most of the proof *target = what was sent*, between two passes."""

    def __init__(self, story: "Story", awaiting: "Awaiting") -> None:
        self._story, self._awaiting = story, awaiting

    async def between(self) -> None:
        """Read all disks back now, if that is of use, while nothing else goes on.

        It gives way to whatever somebody wants; then it is made after a later pass, or after the start.
        """
        story, awaiting = self._story, self._awaiting
        state = story.state
        last = state.passes[-1:]
        due = story.preflight.warm and state.was_on and not state.proofs_between and bool(last) and last[0].complete
        if not due or story.predict().proof == "whole" or awaiting.wanted() or state.paused:
            return
        if not workflow.patched("read-back-between"):
            return
        try:
            reason = await self._take_bases()
        except StepFailed:  # it cannot be now
            return
        bases = story.state.bases
        handles = [
            order(
                "prove_target",
                ProofOrder(
                    errand=story.errand, target_disk=disk, snapshot_vdi=bases.get(disk.vdi, disk.vdi), part="between",
                    base=bases.get(disk.vdi, ""), reason=reason,
                ),
                ProofReport,
                summary=f"read back {disk.slot} between passes",
            )
            for disk in story.shell.disks
        ]  # fmt: skip
        await workflow.wait_condition(
            lambda: all(handle.done() for handle in handles) or awaiting.wanted() or story.state.paused
        )
        for handle in handles:
            if not handle.done():
                handle.cancel()
        proofs: list[ProofReport] = []
        for handle in handles:
            try:
                proofs.append(await heard(handle))
            except StepFailed:  # it was called off, or cannot be made now: the proof before or after the start is due
                return
        different = tuple(proof for proof in proofs if not proof.holds)
        if not different:
            if not all(proof.made for proof in proofs):
                with contextlib.suppress(StepFailed):  # else on the way back, or when it leaves
                    await story.going_back.drop_bases()
            story.set(proofs_between=tuple(proofs))
            awaiting.foresee()
            return
        story.set(repaired=(*state.repaired, *different), sync_requested=True)  # the next pass sends it again
        if len(story.state.repaired) > REPAIRS * len(handles):
            await story.park(StepFailed("verify.target_differs", "what was sent again differs again"))

    async def _take_bases(self) -> str:
        """Where the pool tells a difference but reads no ranges, snapshots are read back in place of the disks.

        Returns:
            Why there are none, where there is a reason.

        Raises:
            StepFailed: they cannot be taken now.
            Ended: somebody cancelled.
        """
        story = self._story
        if not workflow.patched("read-back-base"):
            return ""
        if all(each.step is not UndoStep.DROP_BASES for each in story.state.undo):  # else an earlier reading was cut
            story.going_back.will_undo(UndoStep.DROP_BASES)
        said = ShellRef(errand=story.errand, vm=story.shell.vm)
        try:
            taken = await story.hear(order("take_bases", said, BaseReport, summary="snapshots to be read back"))
        except StepFailed:
            with contextlib.suppress(StepFailed):
                await story.going_back.drop_bases()
            raise
        story.set(bases=taken.vdis)
        if not taken.vdis:
            story.going_back.forget_undo(UndoStep.DROP_BASES)
        return taken.reason
