"""`ferry gc plan` and `ferry gc apply`: what migrations that are over have left behind."""

from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import ExitCode
from starter.options import Config, OutputAs, Site, Yes
from starter.output import Output, put, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.leftovers import CollectReport, LeftoverReport
    from starter.settings import Settings

app = typer.Typer(
    name="gc", no_args_is_help=True, rich_markup_mode=None, help="Find and remove what migrations left behind."
)


@app.command("plan", short_help="List what was left behind, anywhere.")
def plan(output: OutputAs = Output.TABLE, site: Site = None, config: Config = None) -> None:
    """List all that bears a mark of Ferry on sources, targets and in the store, with owner and age. Touches nothing.

    \b
    Examples:
      ferry gc plan
      ferry gc plan -o json

    \b
    leftover: ours, of a migration that is over; `ferry gc apply` removes it
    data:     holds copied data; only `ferry gc apply --data ID` removes it
    ask:      only `ferry gc apply ID` removes it: see the reason
    living:   of a migration that goes on; keep: not for gc
    Exit codes: 0 all was seen, 3 a system could not be looked at.
    """
    from starter.collecting import found
    from starter.dialling import dial
    from starter.views.leftovers import leftovers_view

    async def work(client: "Client", _: "Settings") -> "LeftoverReport":
        return await found(client, site or "")

    report = dial(config, work)
    put(report, output, lambda: leftovers_view(report))
    raise typer.Exit(ExitCode.PARTIAL if report.unseen or report.cut else ExitCode.DONE)


@app.command("apply", short_help="Remove it.")
def apply(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="As `ferry gc plan` shows them; without any: all leftovers."),
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="ID", help="Remove that too, with the copied data it holds.")
    ] = None,
    yes: Yes = False,
    output: OutputAs = Output.TABLE,
    site: Site = None,
    config: Config = None,
) -> None:
    """Remove leftovers: all of them, or those that are named. Each is looked at once more before it goes.

    \b
    Examples:
      ferry gc apply
      ferry gc apply vc/mark/5029-instance --yes
      ferry gc apply --data pool/vdi-data/0cc2…

    \b
    Copied data goes only where --data names it. What a living migration owns, what others made, and what changed since
    it was listed stays.
    Exit codes: 0 done, or nothing was left; 3 something stays, and the report says why.
    """
    from starter.collecting import chosen, found, removed
    from starter.dialling import confirmed, dial
    from starter.views.leftovers import items_view, removals_view

    async def work(client: "Client", _: "Settings") -> "tuple[LeftoverReport, CollectReport]":
        from contracts.leftovers import CollectReport
        from starter.output import talk_console

        seen = await found(client, site or "")
        items = chosen(seen.items, ids or [], data or [])
        if not items:
            return seen, CollectReport()
        talk_console().print(items_view([each.item for each in items]))
        confirmed(f"Remove {len(items)} of them?", yes=yes)
        return seen, await removed(client, items, site or "")

    seen, report = dial(config, work)
    if not report.removed:
        say("nothing to remove")
    put(report.removed, output, lambda: removals_view(report.removed))
    for each in seen.unseen:
        say(f"not looked at: {each.system} ({each.code}: {each.message})")
    stays = seen.unseen or any(each.outcome in ("refused", "failed") for each in report.removed)
    raise typer.Exit(ExitCode.PARTIAL if stays else ExitCode.DONE)
