"""A test copy: one consistent moment of a VM that is never stopped, as a VM that meets nobody; never called migrated.

It has no cards, so that it stands on no network beside its source; its name says what it is. It is never continued by
deltas, and the source is left as it was.
"""

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.names import Phase
    from contracts.steps import ProofOrder, ProofReport
    from workflows.finishing import let_go
    from workflows.stepping import StepFailed

if TYPE_CHECKING:
    from workflows.story import Story

_STORED = type(None)


class TestCopying:
    """The whole story after the shell is made, where the request says ``test_copy``."""

    __test__ = False

    def __init__(self, story: "Story") -> None:
        self._story = story

    async def made(self) -> None:
        """Copy, prove, release. What fails before the start leaves nothing but VDIs with data, as ever.

        Raises:
            StepFailed, Ended.
        """
        story = self._story
        story.enter(Phase.INITIAL_SYNC)
        await story.syncing.until_complete(final=not story.state.was_on)  # one that is off needs no snapshot
        story.set(initial_done=True)
        await self._prove()
        ref = story.ref
        # The store says so first: what may run from here on is never filled up by a delta (SAFETY 18).
        await story.step("diverge_target", ref, _STORED, summary="it parts from the source here")
        await story.step("unblock_target", ref, _STORED)
        if story.request.start_target:
            await story.step("start_target", ref, _STORED, summary="start the test copy")
        await self._leave()

    async def _prove(self) -> None:
        """*Target = what was sent*, of the VDIs themselves: nobody writes them."""
        story = self._story
        proofs: list[ProofReport] = []
        for disk in story.shell.disks:
            said = ProofOrder(errand=story.errand, target_disk=disk, snapshot_vdi=disk.vdi)
            proofs.append(await story.step("prove_target", said, ProofReport, summary=f"prove {disk.slot}"))
        story.set(proofs_sent=tuple(proofs))
        different = [proof.disk_id for proof in proofs if not proof.holds]
        if different:
            raise StepFailed("verify.target_differs", ", ".join(different))

    async def _leave(self) -> None:
        """Nothing of ours stays on the source, and no claim on it."""
        story = self._story
        await let_go(story)
        notes = ["a test copy: the source was not stopped, and what it wrote since is not in it"]
        notes += [
            f"card {nic.index} ({nic.mac} on {nic.network!r}) was left out: add it on a network without the source only"
            for nic in story.preflight.machine.nics
        ]
        story.set(undo=(), notes=tuple(notes))
