"""A rehearsal on a terminal: the calendar, what is short, and whom it keeps down longest."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from fleets.rehearsal.calendar import Rehearsed, WaveRehearsed
from fleets.rehearsal.given import Rates
from starter.views.tables import table
from starter.views.words import DASH, clock, rate, seconds, size

MOST_SHOWN = 10
MOST_LIMITS = 14


def rehearsal_view(told: Rehearsed, rates: Rates) -> RenderableType:
    """What `ferry rehearse` prints."""
    heads = ("wave", "VMs", "through", "begins", "copied", "first cutover", "ends", "windows missed")
    parts: list[RenderableType] = [
        table(heads, [_wave(each) for each in told.waves], right=("VMs", "through", "windows missed"),
              whole=("begins", "copied", "first cutover", "ends")),
        _below(table(("limit", "most used", "of", "all used, and waited for"), [
            (name, str(each.most), DASH if each.limit is None else str(each.limit),
             seconds(each.waited_h * 3600) if each.waited_h else DASH)
            for name, each in list(told.peaks.items())[:MOST_LIMITS]
        ], right=("most used", "of", "all used, and waited for"))),
    ]  # fmt: skip
    if more := len(told.peaks) - MOST_LIMITS:
        parts += [Text(f"and {more} more limits: -o json")] if more > 0 else []
    if told.downtimes:
        longest = [(each.vm, seconds(each.seconds)) for each in told.downtimes[:MOST_SHOWN]]
        parts.append(_below(table(("longest downtimes", ""), longest)))
    if told.never:
        never = list(told.never.items())[:MOST_SHOWN]
        parts.append(_below(table(("never cut over", "why"), never, whole=("never cut over",))))
    if told.paused:
        parts.append(_below(Text(told.paused, style="bold red")))
    ends = (
        f"all run on the target at {clock(told.ends)}"
        if told.ends
        else f"{told.through} of {told.machines} come through"
    )
    parts.append(_below(Text(
        f"Fleet {told.fleet}: {ends}; {size(told.bytes_sent)} are sent. Reckoned with {rate(rates.alone)} a VM, "
        f"{rate(rates.together)} together, {rate(rates.changes)} written by a guest. Times are UTC."
    )))  # fmt: skip
    return Group(*parts)


def _below(what: RenderableType) -> RenderableType:
    return Padding(what, (1, 0, 0, 0))


def _wave(each: WaveRehearsed) -> tuple[str, ...]:
    return (
        each.name, str(each.machines), str(each.through), clock(each.begins)[:-3], clock(each.copied)[:-3] or DASH,
        clock(each.first_cutover)[:-3] or DASH, clock(each.ends)[:-3] or DASH,
        str(each.windows_missed) if each.windows_missed else DASH,
    )  # fmt: skip
