"""`ferry doctor`'s lines."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starter.checking import Finding


def checks_view(found: "Sequence[Finding]") -> RenderableType:
    """ok or fail, what, and under a failure its code and what to do."""
    return Group(*(_line(each) for each in found))


def _line(each: "Finding") -> Text:
    mark, style = {True: ("ok  ", "green"), False: ("FAIL", "bold red"), None: ("–   ", "dim")}[each.ok]
    line = Text.assemble((mark, style), f"  {each.what + ': ':<24}{each.line}")
    if each.code and each.ok is not None:
        line.append(f"\n      {each.code}: {each.action}\n      ferry explain {each.code}")
    return line
