"""`ferry rollback`: back to the source, from the cutover on."""

from shlex import quote
from typing import TYPE_CHECKING

from starter.options import Config, Note, OutputAs, Source, Vm, Who, Yes
from starter.output import Output, put, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.messages import Ack
    from contracts.told import Status
    from starter.settings import Settings


def rollback(
    vm: Vm,
    who: Who = None,
    note: Note = "",
    yes: Yes = False,
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Stop the target, see it halted, and power the source on again.

    What the target wrote since its start is lost; that time is shown, and your yes names it.

    \b
    Examples:
      ferry rollback web01
      ferry rollback web01 --yes --note "the database does not come up"
    """
    from starter.dialling import confirmed, dial
    from starter.finding import workflow_of
    from starter.looking import look
    from starter.sending import answering, roll_back, speaker

    async def work(client: "Client", settings: "Settings") -> "Ack":
        seen = await look(client, await workflow_of(client, settings, vm, source))
        say(what_is_lost(answering(seen)))
        confirmed(f"Roll {seen.vm} back to its source?", yes=yes)
        return await roll_back(client, seen, who=speaker(who), note=note)

    ack = dial(config, work)
    put(ack, output, lambda: ack.message or "rolling back")
    say(f"watch it with `ferry status {quote(vm)} --watch`")


def what_is_lost(status: "Status") -> str:
    """What the operator gives up."""
    if status.started_at is None:
        return f"the target of {status.vm} was not started: nothing is lost. The source is powered on again."
    return (
        f"everything that the target of {status.vm} wrote since {status.started_at.isoformat()} is lost. "
        "It is stopped, and the source is powered on again."
    )
