"""`ferry report` and `ferry verify-report`: how a migration ended, and the record that proves what was done."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import ExitCode, FerryError
from contracts.names import FLEET
from starter.options import Config, OutputAs, Source
from starter.output import Output, put, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.record import Entry
    from starter.seen import Seen
    from starter.settings import Settings


def report(
    vm: Annotated[str, typer.Argument(metavar="VM", help="Name of a VM, a full workflow id, or fleet/NAME.")],
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write the whole record into a new file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Of a fleet: a page that stands alone.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Of a fleet: a row a VM.")] = None,
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """How a migration or a fleet ended: passes, bytes, proofs, decisions, and the head of its record.

    \b
    Examples:
      ferry report web01
      ferry report web01 -o json
      ferry report web01 --export web01.record
      ferry report fleet/spring --html spring.html --csv spring.csv

    \b
    The file holds every decision, command, pass and outcome, each entry with the digest of the one before, and the
    report. Anybody checks it with `ferry verify-report FILE`. A migration that goes on can be exported too.
    Exit codes: as `ferry status VM`; with --export 0 once the file is written.
    """
    from starter.dialling import dial
    from starter.finding import workflow_of
    from starter.looking import look
    from starter.recording import record_of

    async def work(client: "Client", settings: "Settings") -> "tuple[Seen, list[Entry]]":
        seen = await look(client, await workflow_of(client, settings, vm, source))
        if export is None:
            return seen, []
        return seen, await record_of(client, seen.workflow)

    if vm.startswith(FLEET):
        if export is not None:
            raise typer.BadParameter("--export is of one migration; of a fleet there are --html and --csv")
        from starter.fleet_report.writing import report_fleet

        raise typer.Exit(report_fleet(vm, html=html, csv=csv, output=output, config=config))
    if html is not None or csv is not None:
        raise typer.BadParameter("--html and --csv are of a fleet: ferry report fleet/NAME")
    if export is not None and export.exists():
        raise FerryError("request.invalid", f"{export} is there already: name a new file")
    seen, entries = dial(config, work)
    if export is not None:
        _write(export, seen, entries)
        raise typer.Exit(ExitCode.DONE)
    if seen.report is None:
        raise FerryError("message.wrong_phase", f"the migration of {seen.vm} is not over: see `ferry status {seen.vm}`")
    told = seen.report

    from starter.views.report import report_view

    put(told, output, lambda: report_view(told, workflow=seen.workflow))
    raise typer.Exit(seen.exit_code)


def _write(file: Path, seen: "Seen", entries: "list[Entry]") -> None:
    from contracts.record_file import written

    over = entries[-1].kind == "ended" and seen.report is not None
    told = seen.report.model_dump(mode="json", exclude_defaults=True) if over and seen.report is not None else None
    try:
        with file.open("xb") as out:
            out.writelines(written(entries, told))
    except OSError as error:
        raise FerryError("request.invalid", f"{file}: {error.strerror}") from None
    say(f"{file}: {len(entries)} entries, head {entries[-1].digest}")
    say(f"check it anywhere with `ferry verify-report {file}`")


def verify_report(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `ferry report --export` wrote.")],
    head: Annotated[
        str, typer.Option("--head", help="The head as `ferry report VM` shows it: told by somebody you trust.")
    ] = "",
    output: OutputAs = Output.TABLE,
) -> None:
    """Check an exported record, without Temporal, worker or network: is it whole, and as it was written?

    \b
    Examples:
      ferry verify-report web01.record
      ferry verify-report web01.record --head 3f0c…

    \b
    Who can write the file can write all of it anew. With --head, the digest that `ferry report VM` shows and Temporal's
    history holds, that is found out as well.
    Exit codes: 0 it holds, 7 it does not; the message names the first line that does not hold.
    """
    from dataclasses import asdict

    from contracts.record_file import BrokenRecord, check

    try:
        with file.open("rb") as opened:
            found = check(opened)
    except OSError as error:
        raise FerryError("request.invalid", f"{file}: {error.strerror}") from None
    except BrokenRecord as broken:
        raise FerryError("record.broken", f"{file}, {broken}") from None
    if head and found.head != head:
        raise FerryError("record.broken", f"{file} holds in itself, but ends with {found.head}, not with {head}")
    over = f"it ended {found.outcome!r}" if found.outcome else "it was not over when this was exported"
    line = f"holds: {found.entries} entries, {found.decisions} decisions; {over}; head {found.head}"
    put(asdict(found), output, lambda: line)
