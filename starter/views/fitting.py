"""A view that is drawn anew on a terminal which may be too low for it."""

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text


class Fitted:
    """As many lines as the terminal has; where that is not all, the last one says how many more, and where they are."""

    def __init__(self, view: RenderableType, command: str) -> None:
        self._view, self._command = view, command

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines, most = console.render_lines(self._view, options, pad=False), options.size.height
        more = len(lines) - (most - 1)
        shown = lines if len(lines) <= most else lines[: most - 1]
        for line in shown:
            yield from line
            yield Segment.line()
        if shown is not lines:
            yield Text(f"… {more} lines more: `{self._command}` shows all", no_wrap=True, overflow="ellipsis")
