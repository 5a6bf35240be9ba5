"""`ferry rehearse`: the calendar of a plan, before anything is touched."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import ExitCode
from starter.options import Config, OutputAs
from starter.output import Output, put, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from starter.planning.measuring import Measured
    from starter.settings import Settings


def rehearse(
    plan: Annotated[Path, typer.Argument(metavar="FILE", help="A plan, as `ferry plan` writes it.")],
    starts: Annotated[str | None, typer.Option("--starts", metavar="TIME", help="When it is applied. [now]")] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="SIZE", help="Bytes a second of one VM. [as the plan says]")
    ] = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="Take the rate of one VM from migrations that have ended, by Temporal.")
    ] = False,
    together: Annotated[
        str | None, typer.Option("--together", metavar="SIZE", help="Of all that are copied at once. [4 times --rate]")
    ] = None,
    changes: Annotated[
        str | None, typer.Option("--changes", metavar="SIZE", help="Bytes a second that a guest writes anew. [51K]")
    ] = None,
    bandwidth: Annotated[
        str, typer.Option("--bandwidth", metavar="LIMIT", help="50M, or '08:00,50M 19:00,off' (UTC). [as pinned]")
    ] = "",
    answer: Annotated[
        str, typer.Option("--answer", metavar="TIME", help="How long people take to say yes once they are asked.")
    ] = "0s",
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Play a plan through on paper: when each wave ends, which windows are missed, what is short, who is down longest.

    The functions that decide for the workflows decide here, in a loop of discrete events: a plan of 10,000 VMs takes
    seconds. It reads the file alone, and asks no system; with --measured also the reports of the latest migrations that
    ended between the plan's source and target. A rehearsal is as good as its rates.

    \b
    Examples:
      ferry rehearse spring.yaml
      ferry rehearse spring.yaml --starts 2026-12-01T08:00+01:00 --rate 80M --together 300M --answer 4h
      ferry rehearse spring.yaml --measured
      ferry rehearse spring.yaml --bandwidth "08:00,50M 19:00,off" -o json

    \b
    0: all come through. 3: some do not, and it says why. 2: lines of the plan must be corrected.
    """
    from contracts.sizes import spoken_size
    from fleets.rehearsal.loop import rehearse as play
    from starter.planning.checking import problems_of
    from starter.planning.reading import read_plan
    from starter.planning.reading import told as wrong
    from starter.planning.rehearsing import Asked, given_of
    from starter.views.rehearsal import rehearsal_view

    draft = read_plan(plan)
    if problems := problems_of(draft):
        raise wrong(draft.path, problems)
    said = {"rate": rate, "together": together, "changes": changes, "bandwidth": bandwidth, "answer": answer}
    asked = Asked.model_validate({name: value for name, value in said.items() if value is not None})
    known = _measured(draft.plan.source, draft.plan.target, config) if measured else None
    given = given_of(draft.plan, _moment(starts), asked, known)
    told = play(given)
    if known is not None:
        many = known.migrations
        say(f"measured: {spoken_size(known.alone)}/s a VM, the median of {many} migration{'s' if many > 1 else ''}")
    put(told, output, lambda: rehearsal_view(told, given.rates))
    raise typer.Exit(ExitCode.DONE if told.through == told.machines else ExitCode.PARTIAL)


def _measured(source: str, target: str, config: Path | None) -> "Measured":
    from starter.dialling import dial
    from starter.planning.measuring import measure

    async def work(client: "Client", _: "Settings") -> "Measured":
        return await measure(client, source, target)

    return dial(config, work)


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint="--starts") from None
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone: write 2026-12-01T08:00+01:00", param_hint="--starts")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint="--starts") from None
