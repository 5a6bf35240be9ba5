"""An assessment in the form that was asked for, on its way to a file or to stdout."""

from pathlib import Path

from contracts.assessment import Assessment
from contracts.errors import FerryError
from starter.output import as_json, as_yaml


def form_of(out: Path | None) -> str:
    """By the file's name; a table for people where that does not tell."""
    known = {".json": "json", ".csv": "csv", ".html": "html", ".htm": "html", ".yaml": "yaml", ".yml": "yaml"}
    return known.get(out.suffix.lower(), "table") if out is not None else "table"


def written(assessment: Assessment, form: str) -> str:
    """``json``, ``yaml``, ``csv``, ``html``, or the table without colours."""
    if form == "csv":
        from starter.assessment.as_csv import as_csv

        return as_csv(assessment)
    if form == "html":
        from starter.assessment.as_html import as_html

        return as_html(assessment)
    if form in ("json", "yaml"):
        from starter.assessment.as_data import as_data

        plain = as_data(assessment)
        return (as_json(plain) if form == "json" else as_yaml(plain)) + "\n"
    from io import StringIO

    from rich.console import Console

    from starter.views.assessment import assessment_view

    text = StringIO()
    console = Console(file=text, width=200, color_system=None, highlight=False, markup=False, emoji=False)
    console.print(assessment_view(assessment))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def save(path: Path, text: str) -> None:
    """Whole or not at all: a reader never meets half a page.

    Raises:
        FerryError: ``request.invalid`` where it cannot be written.
    """
    half = path.with_name(f".{path.name}.half")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError as error:
        raise FerryError("request.invalid", f"cannot write {path}: {error.strerror}") from None
