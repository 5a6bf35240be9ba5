"""The two proofs of a cutover (SAFETY 19): *target = what was sent*, and *target = source at power-off*."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.steps import BothProofs, ProofOrder, ProofPart, ProofReport, SnapshotReport
    from workflows.stepping import StepFailed, heard, order

if TYPE_CHECKING:
    from workflows.story import Story

Proof = TypeVar("Proof", ProofReport, BothProofs)


class Proving:
    """What is proven before the start, and what is still due after it."""

    def __init__(self, story: "Story") -> None:
        self._story = story

    async def before_the_start(self, part: ProofPart) -> list[ProofReport]:
        """*Target = what was sent*, of that part. Where the pool offers it no more, it comes after the start.

        Returns:
            Those that do not hold.

        Raises:
            StepFailed, Ended.
        """
        story = self._story
        await self._sent(part)
        if not all(proof.made for proof in story.state.proofs_sent):
            story.set(proofs_sent=())
        return [proof for proof in story.state.proofs_sent if not proof.holds]

    async def after_the_start(self) -> None:
        """Those that are still due; what fails or differs is waited for with a human.

        Raises:
            Ended: somebody cancelled or rolled back.
        """
        story = self._story
        while True:
            while not story.state.proofs_sent:
                await self._or_park(self._sent_at_last)
            different = [proof for proof in story.state.proofs_sent if not proof.holds]
            if not different:
                break
            await story.park(StepFailed("verify.target_differs", where(different)))
            if story.retry_said.from_phase != "proof":
                break
            story.set(proofs_sent=())
        if story.state.proofs_source:  # by the same reading of the source
            await self._park_if_source_differs()
        while not story.state.proofs_source:
            await self._or_park(self._source)
        story.stop_if_asked()

    async def _sent(self, part: ProofPart = "whole") -> None:
        """By reading the pre-start snapshot back."""
        story = self._story
        snapshot = self._snapshot()
        orders = [
            ProofOrder(
                errand=story.errand,
                target_disk=disk,
                snapshot_vdi=snapshot.vdis[disk.vdi],
                part=part,
                base=story.state.bases.get(disk.vdi, "") if part == "since" else "",
                reason=self._reason() if part == "whole" else "",
                source_off=True,
            )
            for disk in story.shell.disks
        ]
        story.set(proofs_sent=await self._all("prove_target", orders, ProofReport))

    async def _sent_at_last(self) -> None:
        """After the start; by the pool's own checksum where it serves no export."""
        story = self._story
        await self._sent()
        refused = [proof for proof in story.state.proofs_sent if not proof.made]
        if not refused:
            return
        snapshot = self._snapshot()
        story.set(proofs_sent=())
        orders = [
            ProofOrder(
                errand=story.errand, target_disk=disk, snapshot_vdi=snapshot.vdis[disk.vdi],
                freeze=story.state.final_freeze, bandwidth=story.bandwidth, reason=refused[0].method, source_off=True,
            )
            for disk in story.shell.disks
        ]  # fmt: skip
        both = await self._all("prove_by_checksum", orders, BothProofs)
        story.set(proofs_sent=tuple(each.sent for each in both), proofs_source=tuple(each.source for each in both))

    async def _source(self) -> None:
        """*Target = source at power-off*, by reading the powered-off source in full."""
        story = self._story
        freeze = story.state.final_freeze
        orders = [
            ProofOrder(errand=story.errand, target_disk=disk, freeze=freeze, bandwidth=story.bandwidth, source_off=True)
            for disk in story.shell.disks
        ]
        story.set(proofs_source=await self._all("prove_source", orders, ProofReport))
        await self._park_if_source_differs()

    async def _park_if_source_differs(self) -> None:
        different = [proof for proof in self._story.state.proofs_source if not proof.holds]
        if different:
            await self._story.park(StepFailed("verify.source_differs", where(different)))
            if self._story.retry_said.from_phase == "proof":
                self._story.set(proofs_source=())

    async def _all(self, name: str, orders: list[ProofOrder], answer: type[Proof]) -> tuple[Proof, ...]:
        """All disks at once."""
        story = self._story
        handles = [
            order(name, said, answer, summary=f"{name.replace('_', ' ')} {said.target_disk.slot}") for said in orders
        ]
        await workflow.wait_condition(lambda: all(handle.done() for handle in handles) or story.must_stop)
        for handle in handles:
            if not handle.done():
                handle.cancel()
        proofs: list[Proof] = []
        failure: StepFailed | None = None
        for handle in handles:
            try:
                proofs.append(await heard(handle))
            except StepFailed as failed:
                failure = failure or failed
        story.stop_if_asked()
        if failure is not None:
            raise failure
        return tuple(proofs)

    async def _or_park(self, prove: Callable[[], Awaitable[None]]) -> None:
        try:
            await prove()
        except StepFailed as failure:
            await self._story.park(failure)

    def _snapshot(self) -> SnapshotReport:
        snapshot = self._story.state.snapshot
        assert snapshot is not None
        return snapshot

    def _reason(self) -> str:
        """Why the whole target is read back after the start, where something better was tried."""
        state = self._story.state
        if state.started_at is None:
            return ""
        return next((f"after the start; {each.method}" for each in state.proofs_between if not each.made), "")


def where(different: list[ProofReport]) -> str:
    """Where the disks differ, the first places of each."""
    return "; ".join(
        f"{proof.disk_id} at {', '.join(map(str, proof.differences[:5])) or 'no known place'}" for proof in different
    )
