"""Permits on a terminal: each limit, who holds it, and who waits for what."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from contracts.capacity import CapacityStatus, HolderTold
from starter.views.tables import table
from starter.views.words import DASH, ago

NOTHING = "Nobody holds a permit or waits for one. Limits are set in ferry.toml, [capacity]."


def capacity_view(told: CapacityStatus) -> RenderableType:
    """What `ferry capacity` prints."""
    if not told.holders and not told.waiters:
        return Text(NOTHING)
    limits = table(
        ("limit", "of", "held", "waited for"),
        [
            (name, str(each.limit), str(each.held), str(each.waited_for or DASH))
            for name, each in told.resources.items()
        ],
        right=("of", "held", "waited for"),
    )
    parts: list[RenderableType] = [limits]
    if told.holding:
        parts.append(_below(table(("holds", "of fleet", "for its", "since", "what"), map(_holds, told.holding))))
    if told.waiting:
        parts.append(_below(table(("waits", "of fleet", "for its", "since", "why"), map(_waits, told.waiting))))
    more = told.holders - len(told.holding) + told.waiters - len(told.waiting)
    if more:
        parts.append(_below(Text(f"and {more} more: -o json has as many, the limits count all")))
    return Group(*parts)


def _below(what: RenderableType) -> RenderableType:
    return Padding(what, (1, 0, 0, 0))


def _holds(each: HolderTold) -> tuple[str, ...]:
    return (each.holder, _fleet(each), each.what, ago(each.since), ", ".join(each.resources))


def _waits(each: HolderTold) -> tuple[str, ...]:
    return (each.holder, _fleet(each), each.what, ago(each.since), each.why)


def _fleet(each: HolderTold) -> str:
    return each.fleet.removeprefix("fleet/") or DASH
