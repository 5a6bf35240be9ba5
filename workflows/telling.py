"""What a migration tells: its status, its report, and the page that Temporal's UI shows. Pure."""

from datetime import datetime

from contracts.error_catalogue import entry
from contracts.migration import MigrateVmInput, MigrationState
from contracts.names import GOOD_ENDS, Phase
from contracts.sizes import spoken_size
from contracts.steps import ProofPart, ProofReport
from contracts.told import DiskReport, Report, Status
from cutovers.holding import windows_of
from workflows.deciding import approval_facts

_NEXT = {
    Phase.PREFLIGHT: "both sides are read; nothing is touched yet",
    Phase.SHELL: "the VM is made on the target, its start blocked",
    Phase.INITIAL_SYNC: "the allocated parts of all disks are copied while the VM runs",
    Phase.DELTA_SYNC: "what changed is copied, until the downtime fits its budget",
    Phase.AWAITING_APPROVAL: "a human approves the cutover (`ferry approve`); deltas go on meanwhile",
    Phase.CUTOVER: "the source goes off, the last delta is copied and proven",
    Phase.START: "the target runs; the powered-off source is read in full and compared",
    Phase.PROBATION: "the target runs; rollback is still possible",
    Phase.DONE: "nothing: the VM runs on the target",
    Phase.TEST_COPY: "nothing: the test copy is on the target; the source was not stopped",
    Phase.ROLLED_BACK: "nothing: the VM runs on the source again",
    Phase.CANCELLED: "nothing: the source is as it was",
    Phase.FAILED: "nothing: the source is as it was; the error says why",
}


_NEXT_OF_OFF = {
    Phase.AWAITING_APPROVAL: "a human approves the cutover (`ferry approve`)",
    Phase.CUTOVER: "the source is off; it is copied and proven",
    Phase.DONE: "nothing: the VM is on the target",
    Phase.ROLLED_BACK: "nothing: the source is as it was, off",
}
"""Of a machine that was off when it began."""


def proof_told(part: ProofPart | None, state: MigrationState) -> str:
    """What of the target is proven within the predicted downtime, and how."""
    if part == "whole":
        return "all of it is read back before the start"
    if part == "since":
        how = "the difference to snapshots that were read back" if state.bases else "NBD"
        return f"what was written since it was read back is proven before the start, by {how}"
    refused = next((each.method for each in state.proofs_between if not each.made), "")
    return f"all of it is read back after the start{f' ({refused})' if refused else ''}"


def open_codes(state: MigrationState) -> tuple[str, ...]:
    """The preflight's codes that are no notes."""
    if state.preflight is None:
        return ()
    return tuple(check.code for check in state.preflight.checks if check.severity != "note")


def status_of(request: MigrateVmInput, state: MigrationState, next_pass_at: datetime | None) -> Status:
    """The answer to the query ``status``."""
    next_step = _NEXT[state.phase] if state.was_on else _NEXT_OF_OFF.get(state.phase, _NEXT[state.phase])
    if state.needs_human:
        next_step = entry(state.needs_human).action
    elif state.phase is Phase.PROBATION and state.probation_ends_at:
        next_step = f"{next_step}, until {state.probation_ends_at:%Y-%m-%d %H:%M} UTC"
    elif state.paused:
        next_step = "paused: `ferry resume` goes on"
    elif state.held and state.permits.asked:
        next_step = f"{state.held} (`ferry capacity` says who has them)"
    elif state.held and state.phase is Phase.AWAITING_APPROVAL:
        next_step = f"approved, {state.held}; deltas go on meanwhile" if state.was_on else f"approved, {state.held}"
    errand = state.errand
    return Status(
        vm=request.vm,
        source=request.source,
        target=request.target,
        site=request.site,
        migration=errand.migration if errand else "",
        phase=state.phase,
        paused=state.paused,
        needs_human=state.needs_human,
        message=state.needs_human_message or state.last_message,
        next_step=next_step,
        approval_ticket=state.approval_ticket,
        approval_facts=approval_facts(state.preflight, open_codes(state)) if state.preflight else (),
        approved_by=state.approved.who if state.approved else "",
        approvals=state.approvals,
        quorum=request.quorum,
        window=state.window,
        windows=windows_of(state, request),
        held=state.held,
        overruns=state.overruns,
        checks=state.preflight.checks if state.preflight else (),
        passes=state.passes,
        bytes_allocated=state.bytes_allocated,
        bytes_sent=sum(each.bytes_sent for each in state.passes),
        bytes_sent_again=sum(each.bytes_sent_again for each in state.passes),
        predicted_downtime_s=state.predicted_downtime_s,
        predicted_proof=state.predicted_proof,
        next_pass_at=next_pass_at,
        bandwidth=request.bandwidth if state.bandwidth is None else state.bandwidth,
        powered_off_at=state.powered_off_at,
        started_at=state.started_at,
        target_vm=state.shell.vm if state.shell else "",
        disks=tuple(disk.slot for disk in state.preflight.machine.disks) if state.preflight else (),
        decisions=state.decisions,
        signals=state.signals,
        runs=state.runs,
        smoke_tests=state.smoke_tests,
        probation_ends_at=state.probation_ends_at,
        test_boot=state.test_boot.who if state.test_boot else "",
        test_boots=state.test_boots,
    )


def report_of(
    request: MigrateVmInput, state: MigrationState, outcome: str, code: str = "", message: str = ""
) -> Report:
    """What is left when it is over."""
    downtime = None
    if state.powered_off_at and state.started_at:
        downtime = (state.started_at - state.powered_off_at).total_seconds()
    return Report(
        outcome=outcome,
        vm=request.vm,
        source=request.source,
        target=request.target,
        migration=state.errand.migration if state.errand else "",
        errand=state.errand,
        target_vm=state.shell.vm if state.shell and outcome in GOOD_ENDS else "",
        passes=len(state.passes),
        bytes_allocated=state.bytes_allocated,
        bytes_sent=sum(each.bytes_sent for each in state.passes),
        bytes_sent_again=sum(each.bytes_sent_again for each in state.passes),
        downtime_s=downtime,
        proof_target_is_sent=_verdict(state, state.proofs_sent),
        proof_target_is_source=_verdict(state, state.proofs_source),
        disks=_disk_reports(state),
        error=code,
        message=message,
        kept_vdis=state.kept_vdis,
        decisions=state.decisions,
        pass_list=state.passes,
        smoke_tests=state.smoke_tests,
        retired_as=state.retired_as,
        test_boots=state.test_boots,
        epoch=state.epoch,
        pass_no=state.pass_no,
        notes=(*state.notes, *_by_hand(state, outcome)),
    )


def details_of(status: Status) -> str:
    """Markdown for Temporal's UI."""
    lines = [f"**{status.vm}**: {status.source} → {status.target}", "", f"Phase **{status.phase.value}**"]
    if status.needs_human:
        lines += ["", f"**Needs a human**: `{status.needs_human}` {status.message}"]
    lines += ["", f"Next: {status.next_step}", ""]
    if status.approval_ticket and not status.approved_by:
        lines.append(f"Approval ticket `{status.approval_ticket}`")
    if status.passes:
        lines += ["", "| pass | kind | by | sent | seconds |", "| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {each.pass_no} | {each.kind} | {each.transport} | {spoken_size(each.bytes_sent)} | {each.seconds:.1f} |"
            for each in status.passes[-10:]
        ]
    return "\n".join(lines)


def _by_hand(state: MigrationState, outcome: str) -> tuple[str, ...]:
    """What only a human can do at a source that lets us do nothing."""
    if state.shell is None or not state.errand or not state.errand.read_only:
        return ()
    if state.preflight is not None and state.preflight.machine.in_files:
        said = "what the files were exported from could be neither stopped nor fenced: see to it that it stays off"
        return (said,) if outcome == "done" else ()
    if outcome == "done":
        return ("the source could not be fenced (free licence): leave it off, or it comes up beside the target",)
    return ("the source is off, as it was: power it on by hand if it shall run (free licence: Ferry cannot)",)


def _verdict(state: MigrationState, proofs: tuple[ProofReport, ...]) -> str:
    disks = len(state.shell.disks) if state.shell else 0
    if not disks or len(proofs) < disks or not all(proof.made for proof in proofs):
        return "not-made"
    return "holds" if all(proof.holds for proof in proofs) else "differs"


def _disk_reports(state: MigrationState) -> tuple[DiskReport, ...]:
    if state.shell is None:
        return ()
    sent = {proof.disk_id: proof for proof in state.proofs_sent}
    source = {proof.disk_id: proof for proof in state.proofs_source}
    frozen = {disk.disk_id: disk for disk in state.final_freeze.disks} if state.final_freeze else {}
    return tuple(
        DiskReport(
            disk_id=disk.disk_id,
            slot=disk.slot,
            capacity=disk.capacity,
            vdi=disk.vdi,
            transport=frozen[disk.disk_id].transport if disk.disk_id in frozen else "",
            reason=frozen[disk.disk_id].reason if disk.disk_id in frozen else "",
            repaired=tuple(each for each in state.repaired if each.disk_id == disk.disk_id),
            proof_target_is_sent=sent.get(disk.disk_id),
            proof_target_is_source=source.get(disk.disk_id),
        )
        for disk in state.shell.disks
    )
