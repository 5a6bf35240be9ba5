"""A stand-in of ``MigrateVm`` for tests of the command line: the same doors, nothing behind them.

What it does is said by the VM's name: ``blocked`` fails in preflight, ``parked`` needs a human, ``copying`` copies
until it is approved, ``started`` runs on its target, ``looks-wrong`` proves unequal; all others wait for approval.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.inspection import InspectReport, InspectRequest, SystemCheck
    from contracts.machine import MachineSummary, Power
    from contracts.messages import Ack, Approve, Reject, Rollback, Steer
    from contracts.migration import Decision, MigrateVmInput
    from contracts.names import INSPECT, MIGRATE_VM, TRANSFER_QUEUE, Phase
    from contracts.steps import Progress
    from contracts.told import Report, Status


TICKET = "0123456789ab"
STARTED = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)


@activity.defn(name="copy_disk")
async def copy_disk() -> None:
    """Beats as a copy does, until it is cancelled."""
    while True:
        activity.heartbeat(Progress(disk="scsi0:0", done=64 << 20, total=256 << 20, rate=float(32 << 20)))
        await asyncio.sleep(0.2)


@workflow.defn(name=MIGRATE_VM, failure_exception_types=[ValidationError])
class StandIn:
    """Doors only."""

    @workflow.init
    def __init__(self, request: MigrateVmInput) -> None:
        self.request = request
        self.heard: list[str] = []
        self.decisions: tuple[Decision, ...] = ()
        self.ending = ""
        self.needs_human = "xapi.sr_full" if request.vm == "parked" else ""
        phases = {"copying": Phase.INITIAL_SYNC, "started": Phase.START, "blocked": Phase.PREFLIGHT}
        self.phase = phases.get(request.vm, Phase.AWAITING_APPROVAL)

    @workflow.run
    async def run(self, request: MigrateVmInput) -> Report:
        """Wait for the one word that ends it."""
        report = Report(outcome="done", vm=request.vm, source=request.source, target=request.target, passes=2)
        if request.vm == "blocked":
            failed = report.model_copy(update={"outcome": "failed", "error": "preflight.rdm_disk", "message": "disk 2"})
            raise ApplicationError("disk 2", failed, type="preflight.rdm_disk", non_retryable=True)
        copying = None
        if request.vm == "copying":
            copying = workflow.start_activity(
                "copy_disk",
                task_queue=TRANSFER_QUEUE,
                start_to_close_timeout=timedelta(hours=1),
                heartbeat_timeout=timedelta(seconds=10),
            )
        await workflow.wait_condition(lambda: bool(self.ending))
        if copying is not None:
            copying.cancel()
        if request.vm == "looks-wrong":
            return report.model_copy(update={"proof_target_is_source": "differs"})
        return report.model_copy(update={"outcome": self.ending, "decisions": self.decisions})

    @workflow.update
    async def approve(self, said: Approve) -> Ack:
        """Refuses another ticket; ends it when said a second time after a no."""
        if said.approval_ticket != TICKET:
            raise ApplicationError(f"the ticket is {TICKET} now", type="message.stale_ticket", non_retryable=True)
        self._decide("approved", said.who, said.note)
        if said.note != "then think again":
            self.ending = "done"
        return Ack(phase=self.phase, message="approve accepted")

    @workflow.update
    async def reject(self, said: Reject) -> Ack:
        """Noted."""
        self._decide("rejected", said.who, said.note)
        return Ack(phase=self.phase, message="reject accepted")

    @workflow.update
    async def pause(self, said: Steer | None = None) -> Ack:
        """Noted."""
        self.heard.append(f"pause by {said.who if said else ''}")
        return Ack(phase=self.phase, message="pause accepted")

    @workflow.update
    async def retry(self, said: Steer | None = None) -> Ack:
        """Only when parked."""
        if not self.needs_human:
            raise ApplicationError("nothing to try again", type="message.wrong_phase", non_retryable=True)
        self.needs_human = ""
        return Ack(phase=self.phase, message="retry accepted")

    @workflow.update
    async def rollback(self, said: Rollback) -> Ack:
        """Insists on the time, as the real one does."""
        if said.lose_target_writes_since != STARTED.isoformat():
            raise ApplicationError("name the time", type="message.needs_confirmation", non_retryable=True)
        self.ending = "rolled-back"
        return Ack(phase=self.phase, message="rollback accepted")

    @workflow.query
    def status(self) -> Status:
        """Enough for every view."""
        return Status(
            vm=self.request.vm,
            source=self.request.source,
            target=self.request.target,
            phase=self.phase,
            needs_human=self.needs_human,
            message="; ".join(self.heard),
            next_step="a human approves the cutover",
            approval_ticket=TICKET,
            approval_facts=(f"VM {self.request.vm}, uefi", "disk scsi0:0: 8.0 GiB", "to pool lab, SR local-ext"),
            predicted_downtime_s=42.0,
            decisions=self.decisions,
            started_at=STARTED if self.phase is Phase.START else None,
        )

    def _decide(self, what: str, who: str, note: str) -> None:
        self.decisions = (*self.decisions, Decision(decision=what, who=who, note=note, at=workflow.now()))


@workflow.defn(name=INSPECT)
class StandInInspect:
    """Sees one VM, one good system and one that refuses the password."""

    @workflow.run
    async def run(self, request: InspectRequest) -> InspectReport:
        """What was asked for."""
        if request.source == "nowhere":
            raise ApplicationError("no source 'nowhere'", type="request.unknown_system", non_retryable=True)
        if request.what == "systems":
            return InspectReport(
                systems=(
                    SystemCheck(name="vc", kind="vsphere", ok=True, line="vCenter 8.0.3"),
                    SystemCheck(name="lab", kind="xcp-ng", ok=False, line="refused", code="xapi.login_refused"),
                )
            )
        machine = MachineSummary(name="web01", machine_id="50", ref="vm-12", power=Power.ON, memory=2 << 30, disks=2)
        return InspectReport(machines=(machine,))
