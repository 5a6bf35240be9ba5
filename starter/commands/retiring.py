"""`ferry retire`: what becomes of the source of a finished migration; its removal takes its name typed again."""

import sys
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import FerryError
from starter.options import Config, Note, OutputAs, Source, Vm, Who
from starter.output import Output, put, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.retirement import RetireReport
    from starter.settings import Settings


def retire(
    vm: Vm,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it with its disks, for good.")] = False,
    confirm: Annotated[
        str,
        typer.Option("--confirm", metavar="NAME", help="Its name as it is now, or its instanceUuid; else asked for."),
    ] = "",
    who: Who = None,
    note: Note = "",
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Rename and annotate the source of a finished migration; or, with --remove, remove it with its disks.

    \b
    Examples:
      ferry retire web01
      ferry retire web01 --remove
      ferry retire web01 --remove --confirm web01-migrated-20261125 --who ann

    \b
    It is removed only when it bears the mark of a retired source, is off and fenced, has no snapshots, has the disks
    that were migrated and no others, and the VM that it has become is there. Else nothing is done (retire.refused).
    """
    from starter.dialling import dial
    from starter.finding import workflow_of
    from starter.retiring import finished
    from starter.retiring import retire as retired
    from starter.sending import speaker

    async def work(client: "Client", settings: "Settings") -> "RetireReport":
        seen = await finished(client, await workflow_of(client, settings, vm, source))
        assert seen.report is not None
        machine = seen.report.errand.machine_id if seen.report.errand else ""
        typed = typed_again(seen.report.retired_as, machine, confirm) if remove else ""
        return await retired(client, seen, who=speaker(who), note=note, remove=remove, confirm=typed)

    report = dial(config, work)
    put(report, output, lambda: f"{report.vm}: its source {become(report)}")
    if report.outcome == "renamed" and report.name:
        say(f"remove it, when nobody needs it any more, with `ferry retire {quote(vm)} --remove`")


def become(report: "RetireReport") -> str:
    """In words. What lies in files has no name that Ferry could change."""
    if report.outcome == "removed":
        return "is removed for good"
    return f"is called {report.name} now" if report.name else "stays as it is: it can only be read"


def typed_again(name: str, machine_id: str, given: str) -> str:
    """The source's name or instanceUuid, as a human typed it.

    Raises:
        FerryError: ``retire.refused`` where nobody can be asked.
    """
    if given:
        return given
    told = f"{name or 'the source'} (instanceUuid {machine_id})"
    if not sys.stdin.isatty():
        raise FerryError("retire.refused", f"{told} is removed with its disks, for good: name it with --confirm")
    answer: str = typer.prompt(f"{told} is removed with its disks, for good. Type its name or instanceUuid", err=True)
    return answer.strip()
