"""`ferry templates`: which template of the pool a guest OS gets."""

from starter.options import OutputAs
from starter.output import Output, put


def templates(output: OutputAs = Output.TABLE) -> None:
    """Show the table by which the template on the target is chosen from the guest OS of the source.

    \b
    Examples:
      ferry templates | grep -i debian
      ferry templates -o json
    """
    from contracts.guest_templates import template_table
    from starter.views.tables import table

    rows = template_table()
    put(rows, output, lambda: table(("guest OS", "template"), [tuple(map(str, row)) for row in rows]))
