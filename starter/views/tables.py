"""One look for all tables."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table

from starter.views.words import BAR, bar


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[RenderableType]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> Table:
    """Bare columns, as kubectl shows them: they can be cut and grepped.

    Args:
        right: names of the columns of numbers, which are not folded while others can be.
        whole: names of further ones that are not.
    """
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        justify: JustifyMethod = "right" if name in right else "left"
        made.add_column(name, justify=justify, overflow="fold", no_wrap=name in right or name in whole)
    for row in rows:
        made.add_row(*row)
    return made


class Bar:
    """A bar of progress that gives way where a terminal is narrow."""

    def __init__(self, done: int, total: int) -> None:
        self._done, self._total = done, total

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(4, BAR)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield bar(self._done, self._total, min(BAR, options.max_width))
