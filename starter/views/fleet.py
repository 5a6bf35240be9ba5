"""All migrations, a line each."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from starter.views.tables import table
from starter.views.words import ago


def fleet_view(rows: Sequence[Mapping[str, Any]], *, sieved: bool = False) -> RenderableType:
    """A table, or a hint where there is none yet."""
    if not rows:
        return Text("none of them") if sieved else Text("no migrations; start one with `ferry start VM`")
    return table(
        ("VM", "source", "target", "phase", "human?", "begun", "workflow"),
        [
            (
                str(row["vm"]),
                str(row["source"]),
                str(row["target"]),
                str(row["phase"]),
                "yes" if row["needs_human"] else "",
                ago(datetime.fromisoformat(row["began"]) if row["began"] else None),
                str(row["workflow_id"]),
            )
            for row in rows
        ],
    )
