"""A list of VMs from a file: names a line, a CSV with columns, or an export of RVTools."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.errors import FerryError
from contracts.plan import MOST_PLANNED
from starter.planning.reading import lines_of, text_of

_COLUMNS = {
    "vm": "vm", "name": "vm", "vm name": "vm", "wave": "wave", "after": "after", "sr": "sr",
}  # fmt: skip
"""A head of ours in any case, to what it is; others are passed over."""


def listed(path: Path) -> list[dict[str, Any]]:
    """A member each: ``vm``, and what else the list says: ``wave``, ``after`` (names parted by ``;``), ``sr``.

    Raises:
        FerryError: ``request.invalid``, ``rvtools.*``.
    """
    if path.is_dir() or path.suffix.lower() in (".xlsx", ".zip") or path.stem.lower().startswith("rvtools"):
        return list(_rvtools(path))
    rows = list(_rows(path))
    if not rows:
        raise FerryError("request.invalid", f"{path} names no VM")
    if len(rows) > MOST_PLANNED:
        raise FerryError("request.invalid", f"{path} names {len(rows)} VMs, and a plan has at most {MOST_PLANNED}")
    return rows


def _rvtools(path: Path) -> Iterator[dict[str, Any]]:
    """Every VM that is no template: by its instanceUuid, where the export has it."""
    from starter.assessment.rvtools import assess_export

    for row in assess_export(path).machines:
        yield {"vm": row.name, "machine_id": row.machine_id if len(row.machine_id) == 36 else ""}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    lines = [line for line in lines_of(text_of(path)) if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return
    parted = max(",;\t", key=lines[0].count)
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=parted))
    except csv.Error as error:
        raise FerryError("request.invalid", f"{path}: {error}") from None
    heads = [_COLUMNS.get(cell.strip().lower(), "") for cell in rows[0]]
    has_heads = "vm" in heads
    for row in rows[1:] if has_heads else rows:
        cells = [cell.strip() for cell in row]
        said = dict(zip(heads, cells, strict=False)) if has_heads else {"vm": cells[0]}
        said.pop("", None)
        if said.get("vm"):
            after = tuple(each.strip() for each in said.get("after", "").replace(";", ",").split(",") if each.strip())
            yield {**said, "after": after}
