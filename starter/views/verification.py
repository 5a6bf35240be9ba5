"""What `ferry verify` found, as people read it."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from contracts.steps import ProofReport
from contracts.verification import VerifyReport
from starter.views.report import proof_told
from starter.views.tables import table
from starter.views.words import DASH


def verification_view(report: VerifyReport) -> RenderableType:
    """The verdict, and a line for each disk."""
    verdict = Text("holds", style="bold green") if report.holds else Text("DOES NOT HOLD", style="bold red")
    parts: list[RenderableType] = [Text.assemble((report.vm, "bold"), "  ", verdict, f"  ({report.migration})")]
    target = {each.disk_id: each for each in report.target}
    source = {each.disk_id: each for each in report.source}
    rows = [
        (
            report.slots.get(disk, disk),
            proof_told(target.get(disk)),
            proof_told(source.get(disk)),
            _root(target.get(disk) or source.get(disk)),
        )
        for disk in dict.fromkeys([*target, *source])
    ]
    if rows:
        parts.append(Padding(table(("disk", "target as sent", "source as sent", "root digest"), rows), (1, 0, 0, 0)))
    parts += [Text(f"note: {note}") for note in report.notes]
    return Group(*parts)


def _root(proof: ProofReport | None) -> str:
    return proof.root_digest[:16] if proof else DASH
