"""`ferry verify`: the proofs of a finished migration, made again."""

from shlex import quote
from typing import TYPE_CHECKING

import typer

from contracts.errors import ExitCode
from starter.options import Config, OutputAs, Source, Vm
from starter.output import Output, put, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.verification import VerifyReport
    from starter.settings import Settings


def verify(vm: Vm, source: Source = None, output: OutputAs = Output.TABLE, config: Config = None) -> None:
    """Prove a finished migration again: read the target's pre-start snapshot and the powered-off source in full.

    \b
    Examples:
      ferry verify web01
      ferry verify migrate/vc/web01 -o json

    \b
    Both are compared with the digests of what was sent. Nothing is changed: the source stays off, its snapshot for
    the reading goes with its end. Said again while it runs, it waits for the same one; Ctrl-C ends only the waiting.
    Exit codes: 0 all holds, 7 something differs or can no longer be compared.
    """
    from starter.dialling import dial
    from starter.finding import workflow_of
    from starter.main import INTERRUPTED
    from starter.verifying import verify as verified
    from starter.views.verification import verification_view

    async def work(client: "Client", settings: "Settings") -> "VerifyReport":
        return await verified(client, await workflow_of(client, settings, vm, source))

    try:
        report = dial(config, work)
    except KeyboardInterrupt:
        say(f"\nthe proofs go on; say `ferry verify {quote(vm)}` again to wait for them")
        raise typer.Exit(INTERRUPTED) from None
    put(report, output, lambda: verification_view(report))
    raise typer.Exit(ExitCode.DONE if report.holds else ExitCode.VERIFICATION_FAILED)
