"""One migration, as `ferry status VM` shows it."""

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from contracts.error_catalogue import entry
from contracts.names import Phase
from contracts.steps import Check
from contracts.told import Status
from starter.seen import Seen, Working
from starter.views.approval import approval_view
from starter.views.deciding import decided
from starter.views.report import report_view
from starter.views.tables import Bar, table
from starter.views.words import ago, clock, rate, seconds, share, size

_PASSES_SHOWN = 8
_STEPS = {"copy": "copying", "proof": "proving"}


def migration_view(seen: Seen) -> RenderableType:
    """Where it is, what moves, and what it waits for."""
    if seen.over and seen.report is not None:
        return report_view(seen.report, workflow=seen.workflow)
    parts: list[RenderableType] = [_head(seen)]
    status = seen.status
    if status is None:
        parts += _silence(seen)
    else:
        parts += _where(status)
    moving = [each for each in seen.working if each.disk and each.total]
    if moving:
        parts.append(_disks(moving))
    stuck = [each for each in seen.working if each.failure]
    parts += [_stuck(each) for each in stuck]
    if status is not None:
        if status.passes:
            parts.append(_passes(status))
        parts += _findings(status.checks)
        if seen.awaits_approval:
            parts.append(approval_view(seen))
    if seen.next_command:
        parts.append(Text.assemble("\nnext command: ", (seen.next_command, "bold")))
    return Group(*parts)


def _head(seen: Seen) -> Text:
    route = f"  {seen.status.source} → {seen.status.target}" if seen.status else ""
    phase = seen.phase or "unknown phase"
    if seen.status and seen.status.paused:
        phase += ", paused"
    return Text.assemble((seen.vm, "bold"), route, "  ", (phase, "bold cyan"), f"  ({seen.workflow})")


def _silence(seen: Seen) -> list[RenderableType]:
    told = seen.silence.message if seen.silence else "no status"
    return [
        Text(f"no status: {told}", style="yellow"),
        Text(f"Temporal says: {seen.execution.value}, begun {ago(seen.began)}, {len(seen.working)} steps under way"),
    ]


def _where(status: Status) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if status.needs_human:
        lines.append(Text(f"needs a human: {status.needs_human}: {status.message}", style="bold red"))
        lines.append(Text(f"  meaning: {entry(status.needs_human).meaning}"))
    elif status.message:
        lines.append(Text(status.message, style="yellow"))
    lines.append(Text(f"now: {status.next_step}"))
    if status.next_pass_at is not None:
        lines.append(Text(f"next delta pass at {clock(status.next_pass_at)}"))
    if status.predicted_downtime_s is not None and status.powered_off_at is None:
        lines.append(Text(f"predicted downtime: {seconds(status.predicted_downtime_s)}"))
        if status.predicted_proof:
            lines.append(Text(f"proof of the target: {status.predicted_proof}"))
    if status.bandwidth:
        lines.append(Text(f"limit of bandwidth: {status.bandwidth}"))
    if status.approved_by or status.phase is not Phase.AWAITING_APPROVAL:  # else beside what it would approve
        lines += [Text(line) for line in decided(status, datetime.now(UTC))]
    if status.powered_off_at is not None:
        lines.append(Text(f"source off since {clock(status.powered_off_at)}"))
    if status.started_at is not None:
        lines.append(Text(f"target started at {clock(status.started_at)}"))
    return lines


def _disks(working: list[Working]) -> RenderableType:
    return Padding(
        table(
            ("disk", "doing", "", "%", "done", "of", "rate", "ETA", "attempt"),
            [
                (
                    each.disk,
                    _STEPS.get(each.step, each.step or each.activity),
                    Bar(each.done, each.total),
                    share(each.done, each.total),
                    size(each.done),
                    size(each.total),
                    rate(each.rate),
                    seconds(each.eta_s),
                    str(each.attempt),
                )
                for each in working
            ],
            right=("%", "done", "of", "rate", "ETA", "attempt"),
            whole=("disk", "doing"),
        ),
        (1, 0, 0, 0),
    )


def _stuck(each: Working) -> Text:
    code = f"{each.failure_code}: " if each.failure_code else ""
    what = f"{each.activity} {each.disk}".strip()
    return Text(f"{what} is tried again (attempt {each.attempt}): {code}{each.failure}", style="yellow")


def _passes(status: Status) -> RenderableType:
    shown = status.passes[-_PASSES_SHOWN:]
    return Padding(
        table(
            ("pass", "kind", "by", "sent", "sent again", "took", "complete", "why"),
            [
                (
                    str(each.pass_no),
                    each.kind,
                    each.transport,
                    size(each.bytes_sent),
                    size(each.bytes_sent_again),
                    seconds(each.seconds),
                    "yes" if each.complete else "no",
                    "; ".join(why for why in (each.reason, each.transport_reason) if why),
                )
                for each in shown
            ],
            right=("pass", "sent", "sent again", "took"),
        ),
        (1, 0, 0, 0),
    )


def _findings(checks: tuple[Check, ...]) -> list[RenderableType]:
    return [
        Text(f"{each.severity}: {each.code}: {each.message}", style="yellow" if each.severity != "note" else "dim")
        for each in checks
    ]
