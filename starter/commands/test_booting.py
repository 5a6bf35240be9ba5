"""`ferry test-boot`: boot what was copied so far, beside everything, and throw it away."""

from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import ExitCode
from starter.options import Config, Note, OutputAs, Source, Vm, Who
from starter.output import Output, put, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.test_boot import TestBootReport
    from starter.settings import Settings

TOLD = {
    "tools-answer": "it boots, and its guest tools answer",
    "runs": "it runs; its guest tools told nothing, so look for yourself before you trust it",
    "stopped": "it stopped by itself",
    "failed": "it could not be tested",
}


def boot_test(
    vm: Vm,
    within: Annotated[
        str, typer.Option(metavar="TIME", help="How long it is watched, until its tools answer.")
    ] = "10m",
    who: Who = None,
    note: Note = "",
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Boot clones of what was copied so far, on a network without uplink; watch them, and throw them away.

    \b
    Example:
      ferry test-boot web01 --within 15m

    \b
    The source is not touched, and goes on running. The next delta pass waits until it is over; what comes of it is in
    `ferry status`. Exit codes: 0 it runs, 7 it stopped or could not be tested. Ctrl-C ends only the waiting.
    """
    from contracts.test_boot import TestBoot
    from starter.dialling import dial
    from starter.finding import workflow_of
    from starter.sending import speaker
    from starter.test_booting import boot

    said = TestBoot.model_validate({"who": speaker(who), "note": note, "within": within})

    async def work(client: "Client", settings: "Settings") -> "TestBootReport":
        say("it is booted between two passes, watched, and thrown away; Ctrl-C ends only the waiting")
        return await boot(client, await workflow_of(client, settings, vm, source), said)

    report = dial(config, work)
    message = f" ({report.message})" if report.message else ""
    put(report, output, lambda: f"{vm}: {TOLD.get(report.outcome, report.outcome)}{message}")
    good = report.outcome in ("tools-answer", "runs")
    raise typer.Exit(ExitCode.DONE if good else ExitCode.VERIFICATION_FAILED)
