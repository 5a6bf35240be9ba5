"""`ferry fleet`: a fleet seen and steered as one, by wave or by VM."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.errors import ExitCode
from starter.options import Config, Note, OutputAs, Who, Yes
from starter.output import Output, put, say, warn

if TYPE_CHECKING:
    from pydantic import BaseModel
    from temporalio.client import Client

    from starter.fleets import SeenFleet
    from starter.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""See and steer a fleet as one: by wave, by VM, or all of it.

    \b
    Examples:
      ferry fleet status spring --watch
      ferry fleet approve spring --wave pilot --note CHG-17
      ferry fleet retry spring --vm db01 --vm db02

    \b
    What is said answers with whom it took and whom it passed over, and why.
    Exit codes: 0 all taken, 3 some or all passed over, 2 nothing named.
    """,
)

Name = Annotated[str, typer.Argument(metavar="FLEET", help="Its name: spring, or fleet/spring.")]
Waves = Annotated[list[str] | None, typer.Option("--wave", metavar="WAVE", help="All of this wave; repeatable.")]
Vms = Annotated[list[str] | None, typer.Option("--vm", metavar="VM", help="This VM; repeatable.")]
All = Annotated[bool, typer.Option("--all", help="All members.")]


@app.command("status", short_help="Waves, phases, pace, who waits for whom and for you.")
def status(
    fleet: Name,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew until it ends.")] = False,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Where a fleet is. The same as `ferry status fleet/NAME`.

    \b
    Exit codes: 0 all done, 3 some, 1 none; 5 nothing goes on without a human, 8 running.
    """
    show(fleet, watch=watch, output=output, config=config)


def show(fleet: str, *, watch: bool, output: Output, config: Path | None) -> None:
    """Print it, once or until it ends."""
    from starter.dialling import dial
    from starter.fleets import fleet_name, look_at
    from starter.main import INTERRUPTED
    from starter.views.fleet_status import fleet_status_view

    async def work(client: "Client", _: "Settings") -> "SeenFleet":
        if not watch:
            seen = await look_at(client, fleet)
            await _warn_of_nobody(client, seen)
            return seen
        from starter.watching_fleet import watch_fleet

        return await watch_fleet(client, fleet)

    name = fleet_name(fleet)
    try:
        seen = dial(config, work)
    except KeyboardInterrupt:
        say(f"\nthe fleet goes on; watch it with `ferry fleet status {name} --watch`")
        raise typer.Exit(INTERRUPTED) from None
    put(as_data(seen), output, lambda: fleet_status_view(seen))
    raise typer.Exit(seen.exit_code)


async def _warn_of_nobody(client: "Client", seen: "SeenFleet") -> None:
    """Members of a site that nobody polls stand still, and take the turns of others."""
    from starter.polling import unpolled

    running = {row.site for row in seen.members if row.standing in ("running", "waiting")}
    for site in sorted(running):
        if queues := await unpolled(client, site):
            who = f"members of the site {site} stand still" if site else "members stand still"
            warn("temporal.no_worker", f"no worker polls {' and '.join(map(repr, queues))}: {who}")


def as_data(seen: "SeenFleet") -> dict[str, Any]:
    """What JSON shows: the numbers, the pace, and all members."""
    from dataclasses import asdict

    return {
        **seen.status.model_dump(mode="json"),
        "pace": asdict(seen.pace),
        "rows": [row.model_dump(mode="json") for row in seen.members],
    }


@app.command("approve", short_help="Yes to the cutovers of a wave, or of VMs.")
def approve(
    fleet: Name,
    wave: Waves = None,
    vm: Vms = None,
    everyone: All = False,
    who: Who = None,
    note: Note = "",
    yes: Yes = False,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Approve each that waits for a yes, for the facts it has now. It is cut over when its turn comes.

    \b
    Example:
      ferry fleet approve spring --wave pilot --who ann --note CHG-17
    """
    _steer(fleet, "approve", (wave, vm, everyone), who, note, output, config, done="approved", ask=not yes)


@app.command("pause", short_help="Begin nobody and say no yes; or pause VMs.")
def pause(
    fleet: Name,
    wave: Waves = None,
    vm: Vms = None,
    everyone: All = False,
    who: Who = None,
    note: Note = "",
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Without --wave, --vm or --all: the fleet itself, while members that run go on. With them: those migrations."""
    _steer(fleet, "pause", (wave, vm, everyone), who, note, output, config, done="paused", itself=True)


@app.command("resume", short_help="Go on after a pause.")
def resume(
    fleet: Name,
    wave: Waves = None,
    vm: Vms = None,
    everyone: All = False,
    who: Who = None,
    note: Note = "",
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """The fleet itself (what failed so far counts against its budget no more), or those members."""
    _steer(fleet, "resume", (wave, vm, everyone), who, note, output, config, done="resumed", itself=True)


@app.command("cancel", short_help="Undo and end members.")
def cancel(
    fleet: Name,
    wave: Waves = None,
    vm: Vms = None,
    everyone: All = False,
    who: Who = None,
    note: Note = "",
    yes: Yes = False,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Those that run are undone and end; those that wait do not begin."""
    _steer(fleet, "cancel", (wave, vm, everyone), who, note, output, config, done="cancelled", ask=not yes)


@app.command("skip", short_help="Pass members over that do not run.")
def skip(
    fleet: Name,
    wave: Waves = None,
    vm: Vms = None,
    everyone: All = False,
    who: Who = None,
    note: Note = "",
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Who comes after them waits for them no more."""
    _steer(fleet, "skip", (wave, vm, everyone), who, note, output, config, done="skipped")


@app.command("retry", short_help="Try again what is parked or has failed.")
def retry(
    fleet: Name,
    wave: Waves = None,
    vm: Vms = None,
    everyone: All = False,
    who: Who = None,
    note: Note = "",
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """What needed a human tries again; failed, cancelled and skipped ones begin anew. Others are passed over."""
    _steer(fleet, "retry", (wave, vm, everyone), who, note, output, config, done="tries again")


@app.command("add", short_help="More VMs, while it runs.")
def add(
    fleet: Name,
    vm: Annotated[list[str], typer.Option("--vm", metavar="VM", help="A VM to add; repeatable.")],
    wave: Annotated[str, typer.Option("--wave", help="Into which wave; default: the first.")] = "",
    after: Annotated[list[str] | None, typer.Option("--after", metavar="VM", help="They come after it.")] = None,
    sr: Annotated[str | None, typer.Option("--sr", help="Where their disks go; default: as the fleet says.")] = None,
    who: Who = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """They wait for a turn like the others of their wave.

    \b
    Example:
      ferry fleet add spring --vm web07 --vm web08 --wave rest --after db01
    """
    from contracts.fleet import FleetAdd, Member
    from starter.sending import speaker

    request = {} if sr is None else {"sr": sr}
    members = tuple(Member(vm=name, wave=wave, after=tuple(after or ()), request=request) for name in vm)
    _say(fleet, "add", FleetAdd(who=speaker(who), members=members), output, config, done="added")


def _steer(
    fleet: str,
    message: str,
    chosen: tuple[list[str] | None, list[str] | None, bool],
    who: str | None,
    note: str,
    output: Output,
    config: Path | None,
    *,
    done: str,
    itself: bool = False,
    ask: bool = False,
) -> None:
    from contracts.fleet import FleetApprove, FleetSteer
    from starter.sending import speaker

    waves, vms, everyone = tuple(chosen[0] or ()), tuple(chosen[1] or ()), chosen[2]
    if not itself and not (waves or vms or everyone):
        raise typer.BadParameter("say which: --wave WAVE, --vm VM or --all")
    kind = FleetApprove if message == "approve" else FleetSteer
    said = kind.model_validate({"who": speaker(who), "note": note, "waves": waves, "vms": vms, "everyone": everyone})
    if ask:
        from starter.dialling import confirmed

        whom = "all members" if everyone else ", ".join([*(f"wave {each}" for each in waves), *vms])
        confirmed(f"{message.capitalize()} {whom} of fleet {fleet}?", yes=False)
    _say(fleet, message, said, output, config, done=done, itself=itself and not (waves or vms or everyone))


def _say(
    fleet: str, message: str, said: "BaseModel", output: Output, config: Path | None, *, done: str, itself: bool = False
) -> None:
    from starter.dialling import dial
    from starter.fleets import fleet_name, tell
    from starter.views.fleet_status import ack_view

    name = fleet_name(fleet)
    ack = dial(config, lambda client, _: tell(client, name, message, said))
    put(ack, output, lambda: f"fleet {name} is {done}" if itself else ack_view(ack, done))
    say(f"see it with `ferry status fleet/{name}`")
    raise typer.Exit(ExitCode.PARTIAL if ack.passed_over else ExitCode.DONE)
