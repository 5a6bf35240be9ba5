"""What was left behind, as people read it."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from contracts.leftovers import Leftover, LeftoverReport, Removal
from starter.views.tables import table
from starter.views.words import DASH, seconds, size


def leftovers_view(report: LeftoverReport) -> RenderableType:
    """The list, and what could not be seen."""
    shown = [each for each in report.items if each.sort != "keep"]
    kept = len(report.items) - len(shown)
    parts: list[RenderableType] = [items_view(shown) if shown else Text("nothing was left behind")]
    if kept:
        parts.append(Text(f"{kept} more that are not for gc (-o json lists them)"))
    parts += [Text(f"not looked at: {each.system} ({each.code}: {each.message})") for each in report.unseen]
    if report.cut:
        parts.append(Text(f"{report.cut} more: remove these first"))
    return Group(*parts)


def items_view(items: Sequence[Leftover]) -> RenderableType:
    """One line a thing."""
    return table(
        ("sort", "id", "name", "owner", "age", "size", "why, and what removing does"),
        [
            (
                each.sort,
                each.id,
                each.name,
                f"{each.workflow or each.migration or DASH} ({each.owner})",
                seconds(each.age_s) if each.age_s is not None else DASH,
                size(each.bytes) if each.bytes else DASH,
                f"{each.reason}{f'; {each.removal}' if each.removal else ''}",
            )
            for each in items
        ],
        right=("age", "size"),
    )


def removals_view(removed: Sequence[Removal]) -> RenderableType:
    """What became of each."""
    return table(
        ("outcome", "id", ""),
        [(each.outcome, each.id, f"{each.code}: {each.message}" if each.code else each.message) for each in removed],
    )
