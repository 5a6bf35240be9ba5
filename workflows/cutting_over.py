"""Cutover, start, the proofs, and the way back from a started target (SAFETY 14, 16, 17, 19)."""

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.machine import Power
    from contracts.migration import Undo, UndoStep
    from contracts.names import Phase
    from contracts.steps import (
        BothProofs,
        FenceJournal,
        FenceOrder,
        NeverRan,
        NeverRanOrder,
        PoweredOff,
        PowerOffOrder,
        Preflight,
        PreflightOrder,
        ProofOrder,
        ProofPart,
        ProofReport,
        ShellRef,
        SnapshotReport,
        SourceOrder,
    )
    from workflows.approving import by_rule, longest_downtime
    from workflows.deadlines import CalledBack
    from workflows.deciding import approval_facts, ticket_of
    from workflows.holding import overruns_at, windows_of
    from workflows.prediction import START
    from workflows.probation import Probation
    from workflows.retiring import retire
    from workflows.smoke_testing import SmokeTesting
    from workflows.stepping import StepFailed, heard, order
    from workflows.telling import open_codes
    from workflows.timing import FINAL_TRIES, OVERRUNS, REPAIRS, STOP_TRYING

if TYPE_CHECKING:
    from workflows.story import Story

_STORED = type(None)
_OF_THE_CUTOVER = (UndoStep.UNDO_OVERRIDES, UndoStep.POWER_ON_SOURCE, UndoStep.UNFENCE_SOURCE)
Proof = TypeVar("Proof", ProofReport, BothProofs)


class CuttingOver:
    """The chapter from a human's yes to the target that runs and is proven."""

    def __init__(self, story: "Story") -> None:
        self._story = story
        self._smoke = SmokeTesting(story)

    async def cut_over(self) -> bool:
        """Power off, copy the rest, prove, start.

        Returns:
            True when the target was started (or is ready, for a machine that was off); False when the cutover
            was undone and waits for a new approval.

        Raises:
            StepFailed: it cannot be; the caller undoes the rest.
            Ended: somebody cancelled or rolled back before the start.
        """
        story = self._story
        depth = len(story.state.undo)
        story.enter(Phase.CUTOVER)
        self._mind_the_window()
        try:
            await self._facts_still_hold()
            story.forget_expired()
            if story.state.approved is None:  # taken back in the meantime
                story.enter(Phase.AWAITING_APPROVAL)
                return False
            await self._power_off()
            await self._final_pass()
            await self._prove_and_start()
        except CalledBack as back:
            story.deadlines.stop_all()
            await story.undo_down_to(depth)
            await self._try_again_later(back)
            return False
        except StepFailed as failure:
            if not failure.asks or story.state.started_at is not None:
                raise
            # What a human must mend is mended with the source running (SAFETY 21).
            story.deadlines.stop_all()
            await story.undo_down_to(depth)
            self._as_before()
            if failure.code == "source.shutdown_timeout" and workflow.patched("late-shutdown"):
                await self._until_it_goes_off(failure)
                return False
            story.set(approved=None, approvals=())
            await story.park(failure)
            story.enter(Phase.AWAITING_APPROVAL)
            return False
        finally:
            story.deadlines.stop_all()
        return True

    async def _until_it_goes_off(self, failure: StepFailed) -> None:
        """A guest that goes off late, or that is shut down by hand as the human was told, is what the yes was for.

        Where the yes counts no more by then, or may not be used now, the source is powered on again: nobody wants
        it off. A retry means that it shall run on; the next cutover then takes a new yes.
        """
        story = self._story
        depth = len(story.state.undo)
        story.will_undo(UndoStep.POWER_ON_SOURCE)  # for a cancel in the very moment
        off = order("source_goes_off", SourceOrder(errand=story.errand), bool, summary="does it shut down after all?")
        try:
            await story.park(failure, or_when=off.done)
        finally:
            if not off.done():
                off.cancel()
        try:
            gone = await heard(off)
        except StepFailed:
            gone = False
        story.forget_expired()
        taken = gone and story.syncing.ready()
        if not taken:
            story.set(approved=None, approvals=())
        if gone and not taken:
            await story.undo_down_to(depth)
        story.set(undo=story.state.undo[:depth])
        story.enter(Phase.AWAITING_APPROVAL)

    def _as_before(self) -> None:
        self._story.set(power_off_began=False, powered_off_at=None)
        self._story.set(final_freeze=None, snapshot=None, proofs_sent=())

    def _mind_the_window(self) -> None:
        """When it closes before the start, the source comes back by itself (SAFETY 17)."""
        story = self._story
        window = story.state.window
        if windows_of(story.state, story.request) and window is not None:
            story.deadlines.set(
                window.closes, "cutover.window_closed", f"the window closed at {window.closes:%H:%M} UTC"
            )

    def _mind_the_downtime(self, rest: timedelta) -> None:
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

    async def _try_again_later(self, back: CalledBack) -> None:
        """The yes still counts: for the next window, or for the next time that the prediction fits."""
        story = self._story
        if back.code == "cutover.overran" and story.state.snapshot is not None:
            story.set(proof_overran=True)
        self._as_before()
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

    async def _facts_still_hold(self, *, off: bool = False) -> None:
        """The VM is still the one that was approved, and so is where it goes.

        Args:
            off: it must be off.
        """
        story = self._story
        request = story.request
        seen = await story.hear(
            order(
                "preflight",
                PreflightOrder(
                    errand=story.errand,
                    sr=request.sr,
                    networks=request.networks,
                    overrides=request.overrides,
                    vmware_tools=request.vmware_tools,
                ),
                Preflight,
                summary="is it still what was approved?",
            )
        )
        machine = seen.machine
        if off and machine.power is not Power.OFF:
            raise StepFailed("vsphere.powered_on_again", f"{machine.name} is {machine.power.value}")
        now = story.preflight.model_copy(
            update={"machine": machine, "sr_uuid": seen.sr_uuid, "sr_name": seen.sr_name, "networks": seen.networks}
        )
        if ticket_of(approval_facts(now, open_codes(story.state))) != story.state.approval_ticket:
            before = set(approval_facts(story.preflight, ()))
            new = [each for each in approval_facts(now, ()) if each not in before]
            told = f": {'; '.join(new)}" if new else ""
            raise StepFailed("vm.changed", f"{machine.name} is no longer as it was when its shell was made{told}")

    async def _power_off(self) -> None:
        story = self._story
        story.stop_if_asked()
        story.set(power_off_began=True)
        # A power-on of an earlier cutover's way back, in the hands of a stopped worker, is refused from here on.
        story.set(epoch=story.state.epoch + 1)
        await story.hear(
            order("raise_source_epoch", SourceOrder(errand=story.errand, epoch=story.state.epoch), _STORED)
        )
        if workflow.patched("overrides"):
            story.will_undo(UndoStep.UNDO_OVERRIDES)
            overrides = FenceOrder(errand=story.errand, epoch=story.state.epoch, part="overrides")
            story.set(
                overrides=await story.hear(
                    order("fence_source", overrides, FenceJournal, summary="override HA, DRS and auto-start")
                )
            )
        if story.state.was_on:
            story.will_undo(UndoStep.POWER_ON_SOURCE)
        request = story.request
        off = await story.hear(
            order(
                "power_off_source",
                PowerOffOrder(
                    errand=story.errand,
                    policy=request.power_off,
                    patience=request.power_off_patience,
                    epoch=story.state.epoch,
                    deadline=request.power_off_deadline,
                ),
                PoweredOff,
                summary=f"power off the source ({request.power_off})",
            )
        )
        story.set(powered_off_at=off.at)
        story.stop_if_asked()
        story.will_undo(UndoStep.UNFENCE_SOURCE)
        fence = await story.hear(
            order("fence_source", FenceOrder(errand=story.errand, epoch=story.state.epoch), FenceJournal)
        )
        story.set(fence=fence)

    async def _final_pass(self) -> None:
        story = self._story
        prediction = story.predict()
        self._mind_the_downtime(timedelta(seconds=START) + prediction.proving)
        for _ in range(FINAL_TRIES):
            story.stop_if_asked()
            if await story.syncing.sync_pass(final=True):
                self._mind_the_downtime(timedelta(0))
                return
        story.stop_if_asked()
        raise StepFailed("vsphere.freeze_void", "the freeze of the final pass did not hold, several times")

    async def _prove_and_start(self) -> None:
        """Snapshot, proof, `diverged`, start (SAFETY 16); the proof comes after it where the budget is tight."""
        story = self._story
        ref = self._ref()
        for again in range(REPAIRS + 1):
            snapshot = await story.hear(order("snapshot_target", ref, SnapshotReport, summary="pre-start snapshot"))
            story.set(snapshot=snapshot)
            part = story.predict().proof
            if part is None:
                break
            await self._prove_sent(part)
            if not all(proof.made for proof in story.state.proofs_sent):
                story.set(proofs_sent=())  # the pool offers it no more: the proof comes after the start
                break
            different = [proof for proof in story.state.proofs_sent if not proof.holds]
            if not different:
                break
            if again == REPAIRS or not workflow.patched("repair"):
                raise StepFailed("verify.target_differs", _told(different))
            story.set(repaired=(*story.state.repaired, *different))
            await self._final_pass()  # the proof noted what differs as owed
        if workflow.patched("facts-before-start"):
            await self._facts_still_hold(off=True)
        story.stop_if_asked()
        story.deadlines.leave_room_for(timedelta(seconds=START))
        starts = story.request.start_target if story.request.start_target is not None else story.state.was_on
        if workflow.patched("never-ran"):
            self._will_undiverge(ref.epoch)
        await story.hear(order("diverge_target", ref, _STORED, summary="target parts from the source here"))
        story.stop_if_asked()
        story.will_undo(UndoStep.BLOCK_TARGET)
        await story.hear(order("unblock_target", ref, _STORED))
        story.stop_if_asked()
        if not starts:
            return  # it was off and stays off; anyone may start it from here on
        # From here on an unknown outcome counts as started (SAFETY 17): the time is set before the call.
        story.deadlines.stop_all()
        story.forget_undo(UndoStep.UNDIVERGE_TARGET)
        story.set(started_at=workflow.now())
        story.enter(Phase.START)
        # A cancel would leave both machines off: it ends the watching of a target that runs (SAFETY 17).
        see_through = workflow.patched("start-seen-through")
        while True:
            try:
                start = order("start_target", ref, _STORED, summary="start on the target")
                await story.hear(start, see_through=see_through)
                break
            except StepFailed as failure:
                await story.park(failure)
        story.set(started_at=workflow.now())

    async def _prove_sent(self, part: ProofPart = "whole") -> None:
        """*Target = what was sent*, by reading the pre-start snapshot back."""
        story = self._story
        snapshot = story.state.snapshot
        assert snapshot is not None
        story.set(
            proofs_sent=await self._proofs(
                "prove_target",
                [
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
                ],
            )
        )

    def _reason(self) -> str:
        """Why the whole target is read back after the start, where something better was tried."""
        state = self._story.state
        if state.started_at is None:
            return ""
        return next((f"after the start; {each.method}" for each in state.proofs_between if not each.made), "")

    async def _prove_source(self) -> None:
        """*Target = source at power-off*, by reading the powered-off source in full."""
        story = self._story
        freeze = story.state.final_freeze
        story.set(
            proofs_source=await self._proofs(
                "prove_source",
                [
                    ProofOrder(
                        errand=story.errand, target_disk=disk, freeze=freeze, bandwidth=story.bandwidth, source_off=True
                    )
                    for disk in story.shell.disks
                ],
            )
        )
        await self._park_if_source_differs()

    async def _park_if_source_differs(self) -> None:
        different = [proof for proof in self._story.state.proofs_source if not proof.holds]
        if different:
            await self._story.park(StepFailed("verify.source_differs", _told(different)))
            if self._story.retry_said.from_phase == "proof":
                self._story.set(proofs_source=())

    async def _proofs(self, name: str, orders: list[ProofOrder]) -> tuple[ProofReport, ...]:
        return await self._all(name, orders, ProofReport)

    async def _all(self, name: str, orders: list[ProofOrder], answer: type[Proof]) -> tuple[Proof, ...]:
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

    async def prove_and_finish(self) -> None:
        """After the start: the smoke test, the proofs that are still due, then leave."""
        story = self._story
        await self._smoke.after_start()
        with contextlib.suppress(StepFailed):  # else when it leaves, where nothing of ours may stay
            await story.drop_bases()
        while True:
            while not story.state.proofs_sent:
                await self._or_park(self._prove_sent_at_last)
            different = [proof for proof in story.state.proofs_sent if not proof.holds]
            if not different:
                break
            await story.park(StepFailed("verify.target_differs", _told(different)))
            if story.retry_said.from_phase != "proof":
                break
            story.set(proofs_sent=())
        if story.state.proofs_source:  # by the same reading of the source
            await self._park_if_source_differs()
        while not story.state.proofs_source:
            await self._or_park(self._prove_source)
        story.stop_if_asked()
        await Probation(story, self._smoke).endured()
        await self.leave(retires=True)

    async def _prove_sent_at_last(self) -> None:
        """After the start; by the pool's own checksum where it serves no export."""
        story = self._story
        await self._prove_sent()
        refused = [proof for proof in story.state.proofs_sent if not proof.made]
        if not refused:
            return
        snapshot = story.state.snapshot
        assert snapshot is not None
        story.set(proofs_sent=())
        both = await self._all(
            "prove_by_checksum",
            [
                ProofOrder(
                    errand=story.errand, target_disk=disk, snapshot_vdi=snapshot.vdis[disk.vdi],
                    freeze=story.state.final_freeze, bandwidth=story.bandwidth, reason=refused[0].method,
                    source_off=True,
                )
                for disk in story.shell.disks
            ],
            BothProofs,
        )  # fmt: skip
        story.set(proofs_sent=tuple(each.sent for each in both), proofs_source=tuple(each.source for each in both))

    async def _or_park(self, prove: Callable[[], Awaitable[None]]) -> None:
        try:
            await prove()
        except StepFailed as failure:
            await self._story.park(failure)

    async def leave(self, *, retires: bool = False) -> None:
        """Nothing of ours stays on the source or the pool; the way back stays: the source is off and whole."""
        story = self._story
        story.set(leaving=True)  # a rollback is refused from here on: better than a yes that nobody obeys
        await self._smoke.look()
        if retires:
            await retire(story)
        said = SourceOrder(errand=story.errand)
        if story.state.switched_tracking_on:
            await story.insist("change_tracking_off", said, _STORED)
        await story.insist("finish_target", self._ref(), _STORED)
        await story.insist("release_source", said, _STORED)
        notes = [*story.state.notes, "the pre-start snapshot `ferry-pre-start` stays on the target until you remove it"]
        journals = [each for each in (story.state.overrides, story.state.fence) if each]
        changed = ", ".join(f"{name}: {change}" for each in journals for name, change in sorted(each.changes.items()))
        if changed:
            notes.append(f"the source stays off and fenced ({changed})")
        notes += [f"not overridden at the source: {each}" for journal in journals for each in journal.left]
        story.set(undo=(), notes=tuple(notes))

    def _will_undiverge(self, cutover: int) -> None:
        """As the last thing of this cutover's way back: the source does not wait for the store to come on again."""
        story = self._story
        ways_back = list(story.state.undo)
        first = next((i for i, each in enumerate(ways_back) if each.step in _OF_THE_CUTOVER), len(ways_back))
        ways_back.insert(first, Undo(step=UndoStep.UNDIVERGE_TARGET, argument=str(cutover)))
        story.set(undo=tuple(ways_back))

    async def undiverge_target(self, cutover: int) -> None:
        """The way back from the mark of divergence: it goes only where it is certain that the target never ran.

        Else it stays, and the next pass is refused (`target.diverged`): what somebody's start has written there is
        neither known nor ours to write over.

        Raises:
            StepFailed: what a human can mend keeps it from being looked at.
        """
        story = self._story
        ref = self._ref()
        said = NeverRanOrder(errand=ref.errand, vm=ref.vm, epoch=ref.epoch, disk_ids=ref.disk_ids, cutover=cutover)
        try:
            seen = await heard(order("undiverge_target", said, NeverRan, summary="did the target never run?"))
        except StepFailed as failure:
            if failure.asks:
                raise
            seen = NeverRan(reason=f"{failure.code}: {failure.message}")
        if seen.reason:
            told = f"the target counts as one that has run: {seen.reason}"
            story.set(notes=(*story.state.notes, told))

    async def block_target(self) -> None:
        """The way back from an unblocked target that was not started: nobody may start it beside the source."""
        story = self._story
        story.set(epoch=story.state.epoch + 1)
        for name in ("block_target", "raise_target_epoch"):
            await heard(order(name, self._ref(), _STORED))

    async def stop_target(self) -> None:
        """Rollback after the start: block, stop, see it halted, raise the epoch (SAFETY 17)."""
        story = self._story
        story.set(epoch=story.state.epoch + 1)
        ref = self._ref()
        for name in ("block_target", "raise_target_epoch", "stop_target"):
            await story.insist(name, ref, _STORED, give_up_after=STOP_TRYING)
        story.forget_undo(UndoStep.BLOCK_TARGET)  # done here
        await story.insist("raise_source_epoch", SourceOrder(errand=story.errand, epoch=story.state.epoch), _STORED)

    def _ref(self) -> ShellRef:
        story = self._story
        return ShellRef(
            errand=story.errand,
            vm=story.shell.vm,
            epoch=story.state.epoch,
            disk_ids=tuple(disk.disk_id for disk in story.shell.disks),
        )


def _told(different: list[ProofReport]) -> str:
    return "; ".join(
        f"{proof.disk_id} at {', '.join(map(str, proof.differences[:5])) or 'no known place'}" for proof in different
    )
