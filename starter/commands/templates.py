"""`ferry templates`: which template of the pool a guest OS gets."""

from typing import Any

from starter.options import OutputAs
from starter.output import Output, put


def templates(output: OutputAs = Output.TABLE) -> None:
    """Show the table by which the template on the target is chosen from the guest OS id of the source.

    It is read from the top; the first pattern that fits holds.

    \b
    Examples:
      ferry templates | grep -i debian
      ferry templates -o json
    """
    from contracts.guest_templates import template_table
    from starter.views.tables import table

    rows = [{"guest_os": pattern, "templates": list(names)} for pattern, names in template_table()]
    put(rows, output, lambda: table(("guest OS", "templates, the first that the pool has"), map(_cells, rows)))


def _cells(row: dict[str, Any]) -> tuple[str, str]:
    return row["guest_os"], ", ".join(row["templates"])
