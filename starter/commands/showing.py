"""`ferry status`: one migration, or all of them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.names import FLEET, Phase
from starter.options import Config, OutputAs, Source
from starter.output import Output, put, warn

if TYPE_CHECKING:
    from temporalio.client import Client

    from starter.seen import Seen
    from starter.settings import Settings


def status(
    vm: Annotated[
        str | None,
        typer.Argument(metavar="VM", help="Name of a VM, a full workflow id, or fleet/NAME; without it: all."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew until it ends.")] = False,
    fleet: Annotated[str | None, typer.Option("--fleet", help="Of all: only members of this fleet.")] = None,
    phase: Annotated[Phase | None, typer.Option("--phase", help="Of all: only those in this phase.")] = None,
    needs_human: Annotated[
        bool, typer.Option("--needs-human", help="Of all: only those that wait for a yes or for help.")
    ] = False,
    source: Source = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Where a migration or a fleet is, how fast, what it waits for, and what to type next.

    \b
    Examples:
      ferry status
      ferry status web01
      ferry status web01 --watch
      ferry status migrate/vc/web01 -o json
      ferry status fleet/spring --watch
      ferry status --fleet spring --needs-human

    \b
    Exit codes with a VM: 0 done, 1 failed (or cancelled, or rolled back), 5 waits for a human, 8 running.
    """
    from starter.dialling import dial, goes_on

    async def one(client: "Client", settings: "Settings") -> "Seen":
        from starter.finding import workflow_of
        from starter.looking import look
        from starter.watching import progress
        from starter.watching import watch as watched

        assert vm is not None
        workflow = await workflow_of(client, settings, vm, source)
        if not watch:
            seen = await look(client, workflow)
            await _warn_of_nobody(client, seen)
            return seen
        with progress() as shown:
            return await watched(client, workflow, shown, until_human=False)

    if vm is None:
        return _all(output, config, source, fleet=fleet, phase=phase, needs_human=needs_human)
    if fleet is not None or phase is not None or needs_human:
        raise typer.BadParameter("--fleet, --phase and --needs-human are of the list: leave the VM out")
    if vm.startswith(FLEET):
        from starter.commands.fleets import show

        return show(vm, watch=watch, output=output, config=config)
    try:
        seen = dial(config, one)
    except KeyboardInterrupt:
        goes_on(vm)
    raise typer.Exit(_told(seen, output))


async def _warn_of_nobody(client: "Client", seen: "Seen") -> None:
    """It runs, but what it waits for may be a worker."""
    from starter.polling import unpolled

    if seen.status is not None and (queues := await unpolled(client, seen.status.site)):
        warn("temporal.no_worker", f"no worker polls {' and '.join(map(repr, queues))}: it stands still until one does")


def _told(seen: "Seen", output: Output) -> int:
    from starter.failures import tell
    from starter.seen import as_data
    from starter.views.migration import migration_view

    put(as_data(seen), output, lambda: migration_view(seen))
    if not seen.over and seen.silence is not None:
        return tell(seen.silence)
    return int(seen.exit_code)


def _all(output: Output, config: Config, source: str | None, **sieve: Any) -> None:
    from starter.dialling import dial
    from starter.listing import list_migrations

    async def work(client: "Client", _: "Settings") -> "list[dict[str, object]]":
        return [each for each in await list_migrations(client, **sieve) if source in (None, each["source"])]

    rows = dial(config, work)
    sieved = any(sieve.values()) or source is not None

    from starter.views.fleet import fleet_view

    put(rows, output, lambda: fleet_view(rows, sieved=sieved))
