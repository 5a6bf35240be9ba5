"""One look for all tables."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> Table:
    """Bare columns, as kubectl shows them: they can be cut and grepped.

    Args:
        right: names of the columns of numbers.
    """
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
