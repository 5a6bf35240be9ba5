"""The sheets that RVTools exports as CSV files: UTF-8 or UTF-16, parted by comma, semicolon or tab."""

import csv
import io

from starter.assessment.rvtools.columns import table_of
from starter.assessment.rvtools.tables import MOST_CELL, MOST_ROWS, Cell, Table, too_many_rows


def table_from(sheet: str, content: bytes) -> Table:
    """A sheet.

    Raises:
        FerryError: ``rvtools.*``.
        Exception: whatever the csv module says of a file that is none.
    """
    text = _decoded(content)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_parted_by(text), strict=False)
    heads = next((line for line in lines if any(line)), [])
    table = table_of(sheet, [head.strip() for head in heads])
    wanted = frozenset(table.columns.values())
    for line in lines:
        cells: dict[int, Cell] = {
            place: line[place][:MOST_CELL] for place in wanted if place < len(line) and line[place]
        }
        if cells:
            table.rows.append(cells)
        if len(table.rows) > MOST_ROWS:
            raise too_many_rows(sheet)
    return table


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _parted_by(text: str) -> str:
    head = text.lstrip()[:4096].partition("\n")[0]
    return max(",;\t", key=head.count)
