"""What comes before the first pass: the preflight, the claim on the source, the shell on the target."""

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.machine import Power
    from contracts.migration import UndoStep
    from contracts.names import Phase
    from contracts.steps import Errand, Preflight, PreflightOrder, Shell, ShellOrder, SourceOrder
    from workflows.approved import take_approved_steps
    from workflows.deciding import approval_facts, ticket_of
    from workflows.stepping import StepFailed
    from workflows.telling import open_codes

if TYPE_CHECKING:
    from workflows.story import Story


class Preparing:
    """The chapter that ends when bytes may flow."""

    def __init__(self, story: "Story") -> None:
        self._story = story

    async def prepared(self) -> None:
        """Look at both sides, claim the source, make the shell, switch change tracking on.

        Raises:
            StepFailed: it cannot be; the caller undoes what was done.
            Ended: somebody cancelled.
        """
        story = self._story
        story.set(errand=self._errand())
        if adopted := story.request.adopt:
            # Whatever a step of the ended run still has in its hands is refused (SAFETY 14).
            story.set(epoch=adopted.epoch + 1, pass_no=adopted.pass_no)
            story.set(distrust="nobody watched the source since the migration ended")
        await self._preflight()
        await self._claim()
        await self._make_shell()
        if story.preflight.warm:
            story.going_back.will_undo(UndoStep.CHANGE_TRACKING_OFF)
            on = SourceOrder(errand=story.errand)
            was_off = await story.step("change_tracking_on", on, bool, summary="change tracking on")
            story.set(switched_tracking_on=was_off)

    def _errand(self) -> Errand:
        request, info = self._story.request, workflow.info()
        return Errand(
            migration=request.adopt.migration if request.adopt else info.first_execution_run_id,
            workflow=info.workflow_id,
            source=request.source,
            target=request.target,
            vm=request.vm,
            site=request.site,
        )

    async def _preflight(self) -> None:
        story = self._story
        story.enter(Phase.PREFLIGHT)
        found = await self._look()
        machine = found.machine
        known = {"machine_id": machine.machine_id, "store_id": found.store_id, "read_only": machine.read_only}
        errand = story.errand.model_copy(update=known)
        story.set(errand=errand, preflight=found, was_on=machine.power is Power.ON)
        self._stop_at_blockers(found)
        if story.request.adopt:
            self._adopt(found, story.request.adopt.store_id)

    async def _claim(self) -> None:
        """From here on the VM is ours, and what the request approved may be done to it."""
        story = self._story
        story.enter(Phase.SHELL)
        story.going_back.will_undo(UndoStep.RELEASE_SOURCE)
        claim = SourceOrder(errand=story.errand, epoch=story.state.epoch)
        await story.step("claim_source", claim, type(None), summary="owner mark on the source")
        if story.request.approved_steps:
            await take_approved_steps(story, story.preflight)
            found = await self._look()  # what was changed is not what shall be approved
            story.set(preflight=found)
            self._stop_at_blockers(found)

    async def _make_shell(self) -> None:
        story, found = self._story, self._story.preflight
        story.going_back.will_undo(UndoStep.REMOVE_SHELL)
        shell = await story.step(
            "make_shell",
            ShellOrder(
                errand=story.errand,
                machine=found.machine,
                sr_uuid=found.sr_uuid,
                networks=found.networks,
                template=found.template,
                test_copy=story.request.test_copy,
                epoch=story.state.epoch,
            ),
            Shell,
            summary=f"shell on {found.pool}",
        )
        missing = {disk.disk_id for disk in found.machine.disks} ^ {disk.disk_id for disk in shell.disks}
        if missing:
            raise StepFailed("xapi.shell_broken", f"not every disk has its VDI: {', '.join(sorted(missing))}")
        story.set(shell=shell)

    def _adopt(self, found: Preflight, store_id: str) -> None:
        """An ended migration's VDIs and journals: only when it let go of its VM, and where its store is.

        Raises:
            StepFailed: ``vm.already_migrating`` when the VM bears a mark, be it this migration's: it has not ended.
        """
        story = self._story
        if found.machine.owner is not None:
            raise StepFailed(
                "vm.already_migrating", f"{found.machine.name} bears the mark of {found.machine.owner.workflow}"
            )
        # Another store is refused (SAFETY 6).
        story.set(errand=story.errand.model_copy(update={"store_id": store_id}))

    async def _look(self) -> Preflight:
        story, request = self._story, self._story.request
        said = PreflightOrder(
            errand=story.errand,
            sr=request.sr,
            networks=request.networks,
            template=request.template,
            overrides=request.overrides,
            vmware_tools=request.vmware_tools,
            approved_steps=tuple(request.approved_steps),
            segment_bytes=request.segment_bytes,
            bandwidth=request.bandwidth,
            smoke=request.smoke is not None and request.start_target is None,
        )
        return await story.step("preflight", said, Preflight, summary=f"preflight of {request.vm}")

    def _stop_at_blockers(self, found: Preflight) -> None:
        """The ticket of what was found, or the end. Raises ``StepFailed``."""
        story = self._story
        blockers = [check for check in found.checks if check.severity == "blocker"]
        if blockers:
            if len(blockers) == 1:
                raise StepFailed(blockers[0].code, blockers[0].message)
            raise StepFailed("preflight.blocked", "; ".join(f"{check.code}: {check.message}" for check in blockers))
        story.set(approval_ticket=ticket_of(approval_facts(found, open_codes(story.state))))
