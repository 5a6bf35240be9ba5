"""`ferry report fleet/NAME`: into files, or onto the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import ExitCode
from starter.output import Output, put, say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starter.fleets import SeenFleet


def report_fleet(fleet: str, *, html: Path | None, csv: Path | None, output: Output, config: Path | None) -> ExitCode:
    """Exit codes as of `ferry status`; 0 once the files are written."""
    from starter.assessment.writing import save
    from starter.commands.fleets import as_data
    from starter.dialling import dial
    from starter.fleet_report.as_csv import as_csv
    from starter.fleet_report.as_html import as_html
    from starter.fleets import look_at

    seen = dial(config, lambda client, _: look_at(client, fleet))
    for path, form in ((html, as_html), (csv, as_csv)):
        if path is not None:
            save(path, form(seen))
            say(f"{path}: {seen.status.members} VMs")
    if not seen.status.over:
        say("the fleet is not over: this is how it stands")
    if html is not None or csv is not None:
        return ExitCode.DONE
    put(as_data(seen), output, lambda: _table(seen))
    return seen.exit_code


def _table(seen: "SeenFleet") -> "RenderableType":
    from starter.views.tables import table
    from starter.views.words import clock, seconds, size

    heads = ("VM", "wave", "outcome", "code", "approved by", "began", "ended", "downtime", "passes", "sent")
    rows = [
        (
            row.vm, row.wave, row.standing, row.needs_human or row.code, row.approved_by, clock(row.began),
            clock(row.ended), seconds(row.downtime_s), str(row.passes), size(row.bytes_sent),
        )
        for row in seen.members
    ]  # fmt: skip
    return table(heads, rows, right=("downtime", "passes", "sent"), whole=("VM", "outcome", "code"))
