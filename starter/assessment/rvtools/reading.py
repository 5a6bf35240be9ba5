"""An export of RVTools, whichever form it has: an xlsx, a folder of CSV files, a zip of them, or one CSV file."""

import csv
import struct
import zipfile
import zlib
from pathlib import Path
from xml.parsers.expat import ExpatError

from contracts.errors import FerryError
from starter.assessment.rvtools.columns import SHEETS, sheet_of
from starter.assessment.rvtools.csvs import table_from
from starter.assessment.rvtools.tables import MOST_FILE, Budget, Table
from starter.assessment.rvtools.xlsx import tables_of

MOST_MEMBERS = 2000
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
"""Compound files: xls, and every xlsx with a password."""
_NONSENSE = (
    zipfile.BadZipFile, zlib.error, ExpatError, csv.Error, struct.error, UnicodeError, EOFError, NotImplementedError,
    RuntimeError, ValueError, KeyError, IndexError, OverflowError,
)  # fmt: skip
"""What the standard library says of bytes that are not what they should be."""


def read_export(path: Path) -> dict[str, Table]:
    """The sheets that are wanted and there, by our names; vInfo is among them.

    Raises:
        FerryError: ``rvtools.unreadable``, ``rvtools.missing``, ``rvtools.too_large``.
    """
    try:
        found = _folder(path) if path.is_dir() else _file(path)
    except OSError as error:
        raise FerryError("rvtools.unreadable", f"cannot read {path}: {error.strerror or error}") from None
    except MemoryError:
        raise FerryError("rvtools.too_large", f"{path} does not fit into memory") from None
    except FerryError as error:
        raise FerryError(error.code, f"{path}: {error.message}") from None
    except _NONSENSE as error:
        raise FerryError("rvtools.unreadable", f"{path}: {type(error).__name__}: {error}"[:300]) from None
    if "vInfo" not in found:
        known = ", ".join(found) or "none that Ferry knows"
        raise FerryError("rvtools.missing", f"{path} has no sheet vInfo (or RVTools_tabvInfo.csv); it has {known}")
    return found


def _file(path: Path) -> dict[str, Table]:
    with path.open("rb") as file:
        head = file.read(4)
        if head == _OLD_EXCEL:
            raise FerryError(
                "rvtools.unreadable", "it is an xls, or an xlsx with a password: save it as xlsx without one"
            )
        file.seek(0)
        if head[:2] != b"PK":
            return {_named(path.name): table_from(_named(path.name), _content(path))}
        if path.stat().st_size > MOST_FILE:
            raise FerryError("rvtools.too_large", f"it is larger than {MOST_FILE >> 20} MiB")
        budget = Budget()
        with zipfile.ZipFile(file) as archive:
            if len(archive.infolist()) > MOST_MEMBERS:
                raise FerryError("rvtools.too_large", f"it holds more than {MOST_MEMBERS} files")
            if "xl/workbook.xml" in archive.namelist():
                return tables_of(archive, budget)
            return _zipped(archive, budget)


def _named(name: str) -> str:
    sheet = sheet_of(name)
    if sheet is None or not name.lower().endswith(".csv"):
        raise FerryError("rvtools.unreadable", f"it is no xlsx, no zip, and no CSV of {', '.join(SHEETS)}")
    return sheet


def _folder(path: Path) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for each in sorted(path.iterdir()):
        sheet = sheet_of(each.name) if each.suffix.lower() == ".csv" and each.is_file() else None
        if sheet is not None:
            _once(found, sheet)
            found[sheet] = table_from(sheet, _content(each))
    return found


def _zipped(archive: zipfile.ZipFile, budget: Budget) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for each in archive.infolist():
        sheet = sheet_of(each.filename) if each.filename.lower().endswith(".csv") else None
        if sheet is None:
            continue
        _once(found, sheet)
        content = bytearray()
        with archive.open(each) as part:
            while piece := part.read(1 << 20):
                budget.spend(len(piece))
                content += piece
                if len(content) > MOST_FILE:
                    raise FerryError("rvtools.too_large", f"{each.filename} is larger than {MOST_FILE >> 20} MiB")
        found[sheet] = table_from(sheet, bytes(content))
    return found


def _once(found: dict[str, Table], sheet: str) -> None:
    if sheet in found:
        raise FerryError("rvtools.unreadable", f"two files are {sheet}: give one export at a time")


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_FILE + 1)
    if len(content) > MOST_FILE:
        raise FerryError("rvtools.too_large", f"{path.name} is larger than {MOST_FILE >> 20} MiB")
    return content
