"""What a reader makes of a sheet: rows of named columns; and how much of a file is read at all.

A file comes from anybody. Nothing of it is believed: sizes, counts and time are bounded here, for every reader.
"""

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from contracts.errors import FerryError

MOST_FILE = 256 << 20
"""Bytes of a file. RVTools writes some 2 MiB for 1,000 VMs."""
MOST_INFLATED = 1 << 30
"""Bytes of all that is read of it, inflated: its sheets compress some ten times."""
MOST_ROWS = 500_000
"""Of one sheet. The largest vCenter has 40,000 VMs."""
MOST_COLUMNS = 1024
"""vInfo has 93, and one for each custom attribute."""
MOST_CELL = 32_767
"""Characters: Excel's own limit."""
MOST_SECONDS = 300.0

Cell = str | float


@dataclass
class Budget:
    """How much may still be read. Raises ``rvtools.too_large`` when it is spent."""

    inflated: int = MOST_INFLATED
    until: float = field(default_factory=lambda: time.monotonic() + MOST_SECONDS)

    def spend(self, size: int) -> None:
        """Some bytes were read."""
        self.inflated -= size
        if self.inflated < 0:
            raise FerryError("rvtools.too_large", f"it holds more than {MOST_INFLATED >> 20} MiB")
        if time.monotonic() > self.until:
            raise FerryError("rvtools.too_large", f"it is not read within {MOST_SECONDS:.0f} s")


def too_many_rows(sheet: str) -> FerryError:
    """For a reader that has met :data:`MOST_ROWS`."""
    return FerryError("rvtools.too_large", f"sheet {sheet} has more than {MOST_ROWS} rows")


def plain(name: str) -> str:
    """A column's or sheet's name without what versions and people change: case, spaces, signs.

    MB and MiB are the same to RVTools: up to 3.x it wrote MB and meant MiB.
    """
    return re.sub(r"[^a-z0-9#]", "", name.lower()).removesuffix("mib").removesuffix("mb")


@dataclass
class Table:
    """One sheet. ``columns``: our name of a column to its place in a row; only those that are known and there."""

    sheet: str
    columns: dict[str, int] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    rows: list[dict[int, Cell]] = field(default_factory=list)

    def has(self, *names: str) -> bool:
        """Whether one of these columns is there."""
        return any(name in self.columns for name in names)

    def __iter__(self) -> Iterator["Row"]:
        return (Row(self, cells) for cells in self.rows)


@dataclass(frozen=True)
class Row:
    """One line. What is not there or makes no sense is None, or an empty text."""

    table: Table
    cells: dict[int, Cell]

    def text(self, name: str) -> str:
        """As it stands there."""
        cell = self._cell(name)
        if isinstance(cell, float):
            return f"{cell:.0f}" if cell.is_integer() else str(cell)
        return cell.strip()

    def number(self, name: str) -> int | None:
        """A whole number; ``1,024`` and ``1.024`` are the same in what was exported as text."""
        cell = self._cell(name)
        value = cell if isinstance(cell, float) else _number(cell)
        return int(value) if value is not None and math.isfinite(value) and 0 <= value < 1 << 50 else None

    def flag(self, name: str) -> bool | None:
        """``True`` and ``False``, as text or as a spreadsheet's own."""
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
            self.text(name).lower()
        )

    def _cell(self, name: str) -> Cell:
        place = self.table.columns.get(name)
        return "" if place is None else self.cells.get(place, "")


def _number(text: str) -> float | None:
    digits = re.sub(r"[\s\u00a0\u202f'’]", "", text)
    if not re.fullmatch(r"\d[\d.,]*", digits):
        return None
    whole = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", digits)  # what parts thousands
    try:
        return float(whole.replace(",", "."))
    except ValueError:
        return None


Reader = Callable[[str, Sequence[str]], dict[str, int]]
"""The columns of a sheet that are wanted: from the sheet's plain name and its heads, our name to its place."""
