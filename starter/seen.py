"""A migration as it was seen at one moment: what the workflow tells, joined with what its activities beat."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from shlex import quote
from typing import Any

from contracts.errors import ExitCode, FerryError
from contracts.names import GOOD_ENDS, Phase
from contracts.told import Report, Status


class Execution(StrEnum):
    """What Temporal says of the workflow."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed-out"


@dataclass(frozen=True)
class Working:
    """One activity that runs or is about to be tried again. ``silent_s``: seconds since its last heartbeat."""

    activity: str
    attempt: int = 1
    disk: str = ""
    step: str = ""
    done: int = 0
    total: int = 0
    in_flight: int = 0
    rate: float = 0.0
    silent_s: float | None = None
    failure_code: str = ""
    failure: str = ""

    @property
    def eta_s(self) -> float | None:
        """Seconds until its end at the rate of late; None where that cannot be said."""
        if self.rate <= 0 or self.total <= 0:
            return None
        return max(0.0, (self.total - self.done) / self.rate)


@dataclass(frozen=True)
class Seen:
    """``silence`` says why there is no status: no worker answers, or the workflow ended."""

    workflow: str
    execution: Execution
    run: str = ""
    approval: str = "manual"
    began: datetime | None = None
    ended: datetime | None = None
    phase: str = ""
    status: Status | None = None
    report: Report | None = None
    working: tuple[Working, ...] = ()
    silence: FerryError | None = None

    @property
    def vm(self) -> str:
        """The VM, as the migration calls it."""
        told = self.status or self.report
        return (told.vm if told else "") or self.workflow.rsplit("/", 1)[-1]

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.execution is not Execution.RUNNING

    @property
    def outcome(self) -> str:
        """``done``, ``rolled-back``, ``cancelled``, ``failed``; empty while it runs."""
        if not self.over:
            return ""
        return self.report.outcome if self.report else "failed"

    @property
    def awaits_approval(self) -> bool:
        """Whether the next move is a human's yes to the cutover."""
        status = self.status
        return (
            not self.over
            and status is not None
            and status.phase is Phase.AWAITING_APPROVAL
            and self.approval == "manual"
            and not status.approved_by
            and not status.paused
            and not status.needs_human
        )

    @property
    def waits_for_human(self) -> bool:
        """Whether nothing goes on without a human."""
        return self.awaits_approval or (not self.over and self.status is not None and bool(self.status.needs_human))

    @property
    def exit_code(self) -> ExitCode:
        """How `ferry status VM` ends."""
        if self.over:
            return ExitCode.DONE if self.outcome in GOOD_ENDS else ExitCode.ERROR
        return ExitCode.WAITING if self.waits_for_human else ExitCode.RUNNING

    @property
    def next_command(self) -> str:
        """What an operator would type now; empty where there is nothing to do but wait."""
        name = quote(short_name(self.workflow))
        if self.over:
            return "" if self.outcome in GOOD_ENDS else f"ferry start {quote(self.vm)}"
        if self.status is not None and self.status.needs_human:
            return f"ferry {_INSTEAD_OF_RETRY.get(self.status.needs_human, 'retry {}').format(name)}"
        if self.status is not None and self.status.paused:
            return f"ferry resume {name}"
        if self.awaits_approval:
            return f"ferry approve {name}"
        return f"ferry status {name} --watch"


_INSTEAD_OF_RETRY = {
    "cutover.no_window": "limit {} --window WHEN",
    "cutover.window_too_short": "limit {} --window WHEN",
    "cutover.downtime_exceeded": "approve {} --max-downtime TIME",
}


def short_name(workflow: str) -> str:
    """What to type for a workflow: the VM's name where that is enough."""
    parts = workflow.split("/")
    return parts[2] if len(parts) == 3 and parts[0] == "migrate" else workflow


def as_data(seen: Seen) -> dict[str, Any]:
    """What ``-o json`` shows: the status's own fields, and around them what only Temporal knows."""
    told: dict[str, Any] = seen.status.model_dump(mode="json") if seen.status else {"vm": seen.vm, "phase": seen.phase}
    return {
        "workflow_id": seen.workflow,
        "run_id": seen.run,
        "execution": seen.execution.value,
        "approval": seen.approval,
        **told,
        "awaits_approval": seen.awaits_approval,
        "waits_for_human": seen.waits_for_human,
        "next_command": seen.next_command,
        "began": seen.began.isoformat() if seen.began else None,
        "ended": seen.ended.isoformat() if seen.ended else None,
        "activities": [
            {
                "activity": each.activity,
                "disk": each.disk,
                "step": each.step,
                "done": each.done,
                "total": each.total,
                "in_flight": each.in_flight,
                "rate": each.rate,
                "eta_s": each.eta_s,
                "attempt": each.attempt,
                "silent_s": each.silent_s,
                "failure_code": each.failure_code,
                "failure": each.failure,
            }
            for each in seen.working
        ],
        "report": seen.report.model_dump(mode="json") if seen.report else None,
        "silence": {"code": seen.silence.code, "message": seen.silence.message} if seen.silence else None,
    }
