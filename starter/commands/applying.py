"""`ferry apply`: begin the fleet of a plan that is still true."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import ExitCode
from starter.options import Config, OutputAs
from starter.output import Output, put, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.fleet import FleetReport, FleetStatus, MigrateFleetRequest
    from starter.planning.differing import Difference
    from starter.planning.reading import Draft


def apply(
    plan: Annotated[Path, typer.Argument(metavar="FILE", help="A plan, as `ferry plan` writes it.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until the fleet has ended.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Although its fleet has run to its end.")] = False,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Look at all VMs of a plan again, and begin its fleet if they are as the plan saw them. It goes on by itself.

    \b
    Examples:
      ferry apply spring.yaml
      ferry apply spring.yaml --wait -o json

    \b
    Applied twice it is begun once; of a fleet that has ended the report is shown. Without --wait: 0 once it is
    accepted. With it, and of one that has ended: 0 all done, 3 some, 1 none.
    2 lines of the plan must be corrected, 4 a VM is blocked, 6 something is otherwise than the plan saw it (the
    difference is shown), 9 another fleet of that name runs. Ctrl-C ends the waiting, never the fleet.
    """
    from starter.dialling import dial_with
    from starter.main import INTERRUPTED
    from starter.planning.applying import checked
    from starter.planning.reading import read_plan
    from starter.settings import load_settings

    draft = read_plan(plan)
    request = checked(draft)
    begun: list[str] = []
    try:
        code = dial_with(
            load_settings(config),
            lambda client: _apply(client, draft, request, begun, wait=wait, again=again, output=output),
        )
    except KeyboardInterrupt:
        if begun:
            say(f"\nthe fleet goes on: {begun[0]}")
            raise typer.Exit(INTERRUPTED) from None
        raise
    raise typer.Exit(code)


async def _apply(
    client: "Client",
    draft: "Draft",
    request: "MigrateFleetRequest",
    begun: list[str],
    *,
    wait: bool,
    again: bool,
    output: Output,
) -> int:
    from starter.planning import applying
    from starter.polling import unpolled

    before = await applying.begun_before(client, request)
    if before is not None and before.report is not None and not again:
        say(f"{before.handle.id} has run to its end, by this very plan; --again begins it once more")
        return _end(before.report, output)
    if before is not None and before.report is None:
        handle = before.handle
        say(f"{handle.id} runs already, by this very plan")
    else:
        if found := await applying.what_changed(client, draft):
            put_differences(found, output)
            raise applying.stale(found)
        handle = await applying.begin_fleet(client, request)
    begun.append(handle.id)
    sites = applying.sites_of(request)
    if queues := dict.fromkeys([queue for site in sites for queue in await unpolled(client, site)]):
        say(f"warning: no worker polls {' and '.join(map(repr, queues))}")
    if not wait:
        put({"workflow_id": handle.id, "members": len(request.members)}, output, lambda: handle.id)
        say(f"watch it with `ferry status {handle.id} --watch`")
        return 0
    told: list[str] = []

    def progress(now: "FleetStatus") -> None:
        if told[-1:] != [line := _line(now)]:
            told.append(line)
            say(line)

    return _end(await applying.follow(handle, progress), output)


def _end(report: "FleetReport", output: Output) -> int:
    put(report, output, lambda: _told(report))
    return {"done": ExitCode.DONE, "partial": ExitCode.PARTIAL}.get(report.outcome, ExitCode.ERROR)


def put_differences(found: list["Difference"], output: Output) -> None:
    """On stdout, where a program wants them; people have them in the error."""
    if output is not Output.TABLE:
        from dataclasses import asdict

        put({"differences": [asdict(each) for each in found]}, output, lambda: "")


def _line(now: "FleetStatus") -> str:
    parts = [f"{count} {name}" for name, count in now.standing.items()]
    waiting, parked = sum(wave.asks for wave in now.waves), sum(wave.needs_human for wave in now.waves)
    asks = [f"{waiting} wait for a yes"] if waiting else []
    human = [f"{parked} need a human"] if parked else []
    paused = [f"paused by {now.paused_by}"] if now.paused else []
    return f"fleet {now.fleet}: {', '.join([*parts, *asks, *human, *paused])}"


def _told(report: "FleetReport") -> str:
    lines = [
        f"fleet {report.fleet}: {report.outcome}; {', '.join(f'{n} {what}' for what, n in report.standing.items())}"
    ]
    lines += [f"  {vm}: {code}" for vm, code in report.not_done.items()]
    return "\n".join(lines)
