"""The sheets of an xlsx that are wanted, as a stream.

A reader of our own, and a small one: it inflates no more than it is allowed to, keeps only the columns that are
wanted, and refuses every document type, so that no entity can be declared. The libraries at hand load what a file
claims to be: two cells at opposite ends of a sheet take gigabytes. Tests have openpyxl write what this reads.

Source: ECMA-376 part 1, §18.2 (workbook), §18.3 (sheets), §18.4 (shared strings). Names are compared without their
namespaces, since strict and transitional files differ in these only.
"""

import posixpath
import re
import zipfile
from collections.abc import Callable, Mapping
from typing import Any
from xml.parsers import expat

from contracts.errors import FerryError
from starter.assessment.rvtools.columns import sheet_of, table_of
from starter.assessment.rvtools.tables import MOST_CELL, MOST_COLUMNS, MOST_ROWS, Budget, Cell, Table, too_many_rows

CHUNK = 1 << 18
MOST_STRINGS = 10_000_000
DEPTH = 64
"""Elements within elements: a sheet's are eight deep."""
_PLACE = re.compile(r"([A-Z]{1,3})[0-9]{1,7}")


def tables_of(archive: zipfile.ZipFile, budget: Budget) -> dict[str, Table]:
    """The wanted sheets, by our names.

    Raises:
        FerryError: ``rvtools.*``.
        Exception: whatever zipfile and expat say of a file that is none.
    """
    paths = _sheets(archive, budget)
    strings = _strings(archive, budget)
    found: dict[str, Table] = {}
    for name, path in paths.items():
        sheet = sheet_of(name)
        if sheet is None:
            continue
        reader = _Sheet(sheet, strings)
        _parse(archive, path, budget, reader.start, reader.end, reader.text)
        found[sheet] = reader.table or table_of(sheet, ())
    return found


Start = Callable[[str, Mapping[str, str]], None]


def _parse(
    archive: zipfile.ZipFile, path: str, budget: Budget, start: Start, end: Callable[[str], None],
    text: Callable[[str], None] | None = None,
) -> None:  # fmt: skip
    depth = 0

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH:
            raise FerryError("rvtools.unreadable", f"{path} is nested too deeply")
        start(name.rpartition(":")[2], attributes)

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name.rpartition(":")[2])

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _no_document_type
    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    if text is not None:
        parser.CharacterDataHandler = text
    with archive.open(path) as part:
        while piece := part.read(CHUNK):
            budget.spend(len(piece))
            parser.Parse(piece, False)
    parser.Parse(b"", True)


def _no_document_type(*_: Any) -> None:
    raise FerryError("rvtools.unreadable", "a part of it declares a document type, which no spreadsheet has")


def _sheets(archive: zipfile.ZipFile, budget: Budget) -> dict[str, str]:
    """A sheet's name to its path in the archive."""
    ids: dict[str, str] = {}
    targets: dict[str, str] = {}

    def sheet(name: str, attributes: Mapping[str, str]) -> None:
        if name == "sheet" and len(ids) < MOST_COLUMNS:
            link = next(
                (value for key, value in attributes.items() if key.rpartition(":")[2] == "id" and ":" in key), ""
            )
            ids[attributes.get("name", "")] = link

    def relation(name: str, attributes: Mapping[str, str]) -> None:
        if name == "Relationship" and len(targets) < MOST_COLUMNS * 4:
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    _parse(archive, "xl/workbook.xml", budget, sheet, _nothing)
    _parse(archive, "xl/_rels/workbook.xml.rels", budget, relation, _nothing)
    return {
        name: posixpath.normpath(posixpath.join("/xl", targets[link])).lstrip("/")
        for name, link in ids.items()
        if link in targets
    }


def _nothing(_: str) -> None:
    """An end that means nothing."""


def _strings(archive: zipfile.ZipFile, budget: Budget) -> list[str]:
    """The shared strings; the runs of a rich one joined, readings aid (``rPh``) left out."""
    path = next((name for name in archive.namelist() if name.lower() == "xl/sharedstrings.xml"), None)
    if path is None:
        return []
    found: list[str] = []
    parts: list[str] = []
    inside: list[str] = []

    def start(name: str, _: Mapping[str, str]) -> None:
        inside.append(name)
        if name == "si":
            parts.clear()

    def end(name: str) -> None:
        inside.pop()
        if name == "si":
            found.append("".join(parts)[:MOST_CELL])
            if len(found) > MOST_STRINGS:
                raise FerryError("rvtools.too_large", f"it has more than {MOST_STRINGS} texts")

    def text(data: str) -> None:
        if inside and inside[-1] == "t" and "rPh" not in inside:
            parts.append(data)

    _parse(archive, path, budget, start, end, text)
    return found


class _Sheet:
    """Makes a table of a sheet's elements: the first row with anything in it are the heads."""

    def __init__(self, sheet: str, strings: list[str]) -> None:
        self.sheet = sheet
        self.table: Table | None = None
        self._strings = strings
        self._wanted: frozenset[int] | None = None
        self._row: dict[int, Cell] = {}
        self._rows = 0
        self._place, self._kind = -1, ""
        self._parts: list[str] = []
        self._reads = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """``row``, ``c`` (a cell), ``v`` or ``t`` (its content)."""
        if name == "c":
            place = _column(attributes.get("r", ""))
            self._place = self._place + 1 if place is None else place
            self._kind = attributes.get("t", "n")
            self._parts.clear()
        elif name in ("v", "t"):
            wanted = self._wanted
            self._reads = self._place < MOST_COLUMNS if wanted is None else self._place in wanted
        elif name == "row":
            self._row, self._place = {}, -1

    def text(self, data: str) -> None:
        """Of the cell."""
        if self._reads:
            self._parts.append(data)

    def end(self, name: str) -> None:
        """Of a cell, or of a row."""
        if name in ("v", "t"):
            self._reads = False
        elif name == "c" and self._parts:
            self._row[self._place] = self._value("".join(self._parts))
            self._parts.clear()
        elif name == "row" and self._row:
            self._keep()

    def _value(self, said: str) -> Cell:
        if self._kind == "s":
            number = int(said) if said.isdigit() and len(said) < 10 else -1
            if not 0 <= number < len(self._strings):
                raise FerryError("rvtools.unreadable", f"sheet {self.sheet} names a text that is not there")
            return self._strings[number]
        if self._kind == "b":
            return "True" if said.strip() == "1" else "False"
        if self._kind == "n":
            return float(said)
        return said[:MOST_CELL]

    def _keep(self) -> None:
        if self.table is None:
            heads = [""] * (max(self._row) + 1)
            for place, cell in self._row.items():
                heads[place] = str(cell)
            self.table = table_of(self.sheet, heads)
            self._wanted = frozenset(self.table.columns.values())
            return
        self._rows += 1
        if self._rows > MOST_ROWS:
            raise too_many_rows(self.sheet)
        self.table.rows.append(self._row)


def _column(place: str) -> int | None:
    """``AB12`` is 27; a cell may leave out its place, and is then the next one."""
    if not place:
        return None
    match = _PLACE.fullmatch(place)
    if match is None:
        raise FerryError("rvtools.unreadable", f"a cell says that it is at {place[:20]!r}")
    number = 0
    for letter in match[1]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
