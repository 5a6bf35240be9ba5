"""An assessment on a terminal: a line a VM, the reasons, the totals last."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from contracts.assessment import BLOCKED, READY, WARNING, Assessed, Assessment, Sum
from contracts.error_catalogue import entry
from starter.views.tables import table
from starter.views.words import DASH, size

COLOUR = {READY: "green", WARNING: "yellow", BLOCKED: "bold red"}


def assessment_view(assessment: Assessment) -> RenderableType:
    """What `ferry assess` prints."""
    totals = assessment.totals
    parts: list[RenderableType] = []
    if assessment.machines:
        rows = [_row(row) for row in assessment.machines]
        parts.append(table(("VM", "power", "disks", "size", "verdict", "why"), rows, right=("disks", "size")))
    if totals.reasons:
        reasons = [
            (each.code, each.severity, str(each.machines), size(each.capacity), entry(each.code).action)
            for each in totals.reasons
        ]
        made = table(("reason", "severity", "VMs", "size", "to do"), reasons, right=("VMs", "size"), whole=("reason",))
        parts.append(Padding(made, (1, 0, 0, 0)))
    parts += [Text(f"note: {note}") for note in assessment.notes]
    parts += [Text(f"not looked at: {each}") for each in lacks_told(assessment)]
    parts.append(Padding(summary_line(assessment), (1, 0, 0, 0)))
    return Group(*parts)


def _row(row: Assessed) -> tuple[RenderableType, ...]:
    codes = list(dict.fromkeys(check.code for check in row.checks))
    verdict = Text(row.verdict, style=COLOUR.get(row.verdict, ""))
    return row.name, row.power, str(row.disks), size(row.capacity), verdict, "\n".join(codes) or DASH


def lacks_told(assessment: Assessment) -> list[str]:
    """A sentence for each thing that was not looked at."""
    told = []
    for each in assessment.not_looked_at:
        checks = f" ({len(each.codes)} checks: {', '.join(each.codes)})" if each.codes else ""
        told.append(f"{each.why}{checks}")
    return told


def summary_line(assessment: Assessment) -> Text:
    """``412 VMs, 61.3 TiB: 380 ready (50.1 TiB), 20 with warnings (…), 12 blocked (…)``."""
    totals = assessment.totals

    def told(what: str, some: Sum) -> str:
        return f"{some.machines} {what} ({size(some.capacity)})" if some.machines else f"0 {what}"

    return Text.assemble(
        (f"{totals.all.machines} VM{'' if totals.all.machines == 1 else 's'}, {size(totals.all.capacity)}: ", "bold"),
        (told("ready", totals.ready), "green"), ", ",
        (told("with warnings", totals.warning), "yellow"), ", ",
        (told("blocked", totals.blocked), "bold red" if totals.blocked.machines else ""),
    )  # fmt: skip
