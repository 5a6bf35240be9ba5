"""`ferry reject` and `ferry retry`: a human's answer to a migration that waits for one."""

from typing import TYPE_CHECKING, Annotated

import typer

from contracts.names import Message
from starter.commands._telling import tell_workflow
from starter.options import Config, Note, OutputAs, Source, Vm, Who
from starter.output import Output, put

if TYPE_CHECKING:
    from temporalio.client import Client

    from starter.settings import Settings


def reject(
    vm: Vm,
    who: Who = None,
    note: Note = "",
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Say no to the cutover, or take a yes back, until power-off begins. Delta passes go on.

    \b
    Example:
      ferry reject web01 --note "month-end closing"
    """
    from contracts.messages import Reject
    from starter.sending import speaker

    said = Reject(who=speaker(who), note=note)
    tell_workflow(Message.REJECT, said, vm=vm, source=source, config=config, output=output)


def retry(
    vm: Vm,
    who: Who = None,
    note: Note = "",
    from_phase: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="PHASE",
            help="initial-sync: compare all disks in full, keeping what is there; proof: again.",
        ),
    ] = "",
    accept: Annotated[bool, typer.Option("--accept", help="Take it as it is: a smoke test that did not pass.")] = False,
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Try again what needed a human, once its cause is mended (`ferry status VM` names it).

    \b
    Example:
      ferry retry web01 --note "freed 200 GiB on local-ext"
      ferry retry web01 --accept --note "no ssh there, by design"
      ferry retry web01 --from initial-sync

    \b
    One that has failed, or was cancelled or rolled back before its target ran, goes on with --from initial-sync in
    a new run: on the disks that it left on the target, of which only what differs is sent.
    """
    from contracts.messages import Retry
    from starter.dialling import dial
    from starter.retrying import retry as retried
    from starter.sending import speaker

    said = Retry.model_validate({"who": speaker(who), "note": note, "accept": accept, "from_phase": from_phase})

    async def work(client: "Client", settings: "Settings") -> str:
        from starter.finding import workflow_of

        return await retried(client, await workflow_of(client, settings, vm, source), said)

    told = dial(config, work)
    put({"vm": vm, "message": told}, output, lambda: told)
