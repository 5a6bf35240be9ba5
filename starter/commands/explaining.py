"""`ferry explain`: what a code means and what to do."""

from typing import TYPE_CHECKING, Annotated

import typer

from contracts.error_catalogue import CATALOGUE
from contracts.errors import ErrorEntry
from starter.options import OutputAs
from starter.output import Output, put, write

if TYPE_CHECKING:
    from rich.console import RenderableType

_BY_ITSELF = {
    "retry": "it is tried again",
    "redo": "that part is done again",
    "ask": "the migration waits for `ferry retry` or `ferry cancel`",
    "fail": "it ends; what was begun is brought back",
}


def explain(
    code: Annotated[str | None, typer.Argument(metavar="CODE", help="Such as xapi.sr_full; without it: all.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="All codes as the page docs/errors.md.")] = False,
    preflight: Annotated[
        bool, typer.Option("--preflight", help="All checks of the preflight as the page docs/preflight.md.")
    ] = False,
    output: OutputAs = Output.TABLE,
) -> None:
    """Tell what an error code means and what to do about it.

    \b
    Examples:
      ferry explain xapi.sr_full
      ferry explain | grep snapshot
    """
    if markdown:
        from starter.errors_page import errors_page

        write(errors_page())
        return
    if preflight:
        from starter.preflight_page import preflight_page

        write(preflight_page())
        return
    if code is None:
        put([as_row(each) for each in CATALOGUE.values()], output, _all_of_them)
        return
    found = CATALOGUE.get(code)
    if found is None:
        raise typer.BadParameter(f"there is no code {code!r}{_near(code)}")
    put(as_row(found), output, lambda: as_text(found))


def as_row(entry: ErrorEntry) -> dict[str, str | int]:
    """What JSON shows of one code."""
    return {
        "code": entry.code,
        "meaning": entry.meaning,
        "action": entry.action,
        "remedy": entry.remedy.value,
        "exit_code": int(entry.exit_code),
    }


def as_text(entry: ErrorEntry) -> str:
    """What a person reads of one code."""
    return "\n".join(
        (
            entry.code,
            f"  meaning:   {entry.meaning}",
            f"  to do:     {entry.action}",
            f"  by itself: {_BY_ITSELF[entry.remedy.value]}",
            f"  exit code: {int(entry.exit_code)}",
        )
    )


def _all_of_them() -> "RenderableType":
    from starter.views.tables import table

    return table(("code", "meaning"), [(each.code, each.meaning) for each in CATALOGUE.values()])


def _near(code: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(code, CATALOGUE, n=3, cutoff=0.5)
    return f"; is it {' or '.join(near)}?" if near else "; `ferry explain` lists all"
