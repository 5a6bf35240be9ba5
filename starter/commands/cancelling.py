"""`ferry cancel`: Temporal's own cancel, after saying what it will do."""

from shlex import quote
from typing import TYPE_CHECKING

from starter.options import Config, OutputAs, Source, Vm, Yes
from starter.output import Output, put, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from starter.seen import Seen
    from starter.settings import Settings


def cancel(
    vm: Vm, yes: Yes = False, source: Source = None, output: OutputAs = Output.TABLE, config: Config = None
) -> None:
    """Stop a migration. Before the target's start the source is brought back; after it, only the watching ends.

    \b
    Examples:
      ferry cancel web01
      ferry cancel web01 --yes
    """
    from starter.dialling import confirmed, dial
    from starter.finding import workflow_of
    from starter.looking import look

    async def work(client: "Client", settings: "Settings") -> "Seen":
        from contracts.errors import FerryError

        seen = await look(client, await workflow_of(client, settings, vm, source))
        if seen.over:
            raise FerryError("message.wrong_phase", f"the migration of {seen.vm} has ended: {seen.outcome}")
        say(what_will_happen(seen))
        confirmed(f"Cancel the migration of {seen.vm}?", yes=yes)
        await client.get_workflow_handle(seen.workflow).cancel()
        return seen

    seen = dial(config, work)
    put({"workflow_id": seen.workflow, "cancel_requested": True}, output, lambda: f"cancel asked of {seen.workflow}")
    if seen.silence is not None:
        say(f"it takes effect when a worker runs again ({seen.silence.code})")
    say(f"watch it with `ferry status {quote(vm)} --watch`")


def what_will_happen(seen: "Seen") -> str:
    """What a cancel does at this point of the story (SAFETY 17, 22)."""
    status = seen.status
    if status is None:
        return (
            f"no worker answers, so it is not known how far {seen.vm} is. Before the target's start a cancel brings "
            "the source back; after it, only the watching ends."
        )
    if status.started_at is not None:
        return (
            f"the target of {seen.vm} was started: it goes on running, the source stays off, and only the watching "
            f"ends. To go back to the source instead: ferry rollback {seen.vm}"
        )
    kept = " VDIs that hold data are kept on the target." if status.passes or status.bytes_sent else ""
    power = " The source is powered on again." if status.powered_off_at is not None else ""
    return f"{seen.vm} stays on the source, as it was before: snapshot, marks and the VM on the target go.{power}{kept}"
