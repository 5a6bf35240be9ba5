"""`ferry approve`: a human's yes to the cutover, after seeing the facts (promise 8)."""

from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from starter.options import Config, Note, OutputAs, Source, Vm, Who, Yes
from starter.output import Output, put, say, talk_console

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.messages import Ack
    from starter.settings import Settings


def approve(
    vm: Vm,
    who: Who = None,
    note: Note = "",
    ticket: Annotated[
        str | None,
        typer.Option("--ticket", help="The ticket you were shown; refused (exit 6) if the facts changed since."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long your yes counts: 12h, 3d. [default: as started]")
    ] = None,
    max_downtime: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Your yes is for no longer predicted downtime. [default: as started]"),
    ] = None,
    yes: Yes = False,
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Approve the cutover: the source is shut down, the last delta is copied and proven, the target starts.

    The facts are shown first; your yes names their ticket, so that it never counts for others. Where the migration
    wants a quorum, each person says it; said again with other bounds, it takes the place of your earlier one.

    \b
    Examples:
      ferry approve web01
      ferry approve web01 --yes --note "window CHG-4711"
      ferry approve web01 --ticket 3f2a90c1d2e4 --who anna
      ferry approve web01 --yes --expires 12h --max-downtime 10m
    """
    from starter.dialling import confirmed, dial
    from starter.finding import workflow_of
    from starter.looking import look
    from starter.sending import answering, speaker
    from starter.sending import approve as send_yes
    from starter.views.approval import approval_view

    bounds = {"expires": expires, "max_downtime": max_downtime}

    async def work(client: "Client", settings: "Settings") -> "Ack":
        seen = await look(client, await workflow_of(client, settings, vm, source))
        answering(seen)
        talk_console().print(approval_view(seen))
        confirmed(f"Approve the cutover of {seen.vm}?", yes=yes or ticket is not None)
        return await send_yes(client, seen, who=speaker(who), note=note, ticket=ticket, **bounds)

    ack = dial(config, work)
    put(ack, output, lambda: ack.message or "approved")
    say(f"watch it with `ferry status {quote(vm)} --watch`")
