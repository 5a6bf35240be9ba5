"""`ferry plan`: which VMs move, in which waves, as a file that lives in Git."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import ExitCode, FerryError
from starter.commands.starting import Approval, networks_of
from starter.options import Config, Site, Source
from starter.output import Output, put, say, write

if TYPE_CHECKING:
    from temporalio.client import Client

    from starter.planning.making import Wanted
    from starter.planning.reading import Draft
    from starter.settings import Settings


def plan(
    context: typer.Context,
    vms: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VM]...", help="Names, globs ('web*'; '*': all), instanceUuids or morefs."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The plan; one that is there is brought up to date."),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="VMs with that tag; globs, repeatable.")] = None,
    folder: Annotated[
        list[str] | None, typer.Option("--folder", help="VMs in that folder or below: Prod/Web; globs, repeatable.")
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", metavar="LIST", help="VMs of a list: CSV (vm, wave, after, sr), or an RVTools export."),
    ] = None,
    source: Source = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Name of [targets.NAME]; default: the only one.")
    ] = None,
    sr: Annotated[str | None, typer.Option("--sr", help="SR by name or uuid; default: the target's.")] = None,
    network: Annotated[
        list[str] | None, typer.Option("--network", metavar="A=B", help="Source network to target network; repeatable.")
    ] = None,
    fleet: Annotated[str | None, typer.Option("--fleet", help="Its name; default: that of the file.")] = None,
    wave_size: Annotated[int | None, typer.Option("--wave-size", min=1, help="Waves of so many VMs.")] = None,
    wave_by_tag: Annotated[
        str | None, typer.Option("--wave-by-tag", metavar="GLOB", help="The wave is the VM's tag that fits: 'wave-*'.")
    ] = None,
    approval: Annotated[Approval | None, typer.Option(help="Who decides the cutovers. [default: manual]")] = None,
    window: Annotated[
        list[str] | None, typer.Option("--window", metavar="WHEN", help='"Sat 22:00-02:00 Europe/Berlin"; repeatable.')
    ] = None,
    at_once: Annotated[int | None, typer.Option("--at-once", min=1, help="Copied at once. [default: 10]")] = None,
    failure_budget: Annotated[
        int | None, typer.Option("--failure-budget", min=0, help="So many may fail; then the fleet pauses.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="SIZE", help="Bytes a second of one VM: 80MiB. [default: 100MiB]")
    ] = None,
    site: Site = None,
    check: Annotated[bool, typer.Option("--check", help="Only check the file of -o; nothing is looked at.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of plans, for editors.")] = False,
    as_: Annotated[Output, typer.Option("--as", help="How what will happen is written to stdout.")] = Output.TABLE,
    config: Config = None,
) -> None:
    """Write a plan: who moves, in which waves and after whom, and what was seen of each. Nothing is touched.

    \b
    Examples:
      ferry plan 'web*' db01 -o spring.yaml --wave-size 20
      ferry plan --tag prod --wave-by-tag 'wave-*' --network "VM Network=lan" -o spring.yaml
      ferry plan --from machines.csv -o spring.yaml --window "Sat 22:00-02:00 Europe/Berlin"
      ferry plan -o spring.yaml                      look again: your text stays, the pins are new
      ferry plan 'app*' -o spring.yaml               the same, and VMs that are new are added at its end
      ferry plan -o spring.yaml --check              without a worker: for a hook of Git

    \b
    Ends 0 when the plan can be applied, 2 when lines of it must be corrected (they are named; the file is written
    all the same), 4 when a VM of it is blocked. Apply it with `ferry apply spring.yaml`.
    """
    from starter.planning.schema import schema_text

    if schema:
        return write(schema_text())
    new = {
        "fleet": fleet, "source": source, "target": target, "sr": sr, "network": network, "window": window,
        "approval": approval, "at-once": at_once, "failure-budget": failure_budget, "rate": rate,
        "site": site if _typed(context, "site") else None,
    }  # fmt: skip
    there = out is not None and out.exists()
    if check:
        return _check(out, vms or [], as_)
    if there and (said := ", ".join(f"--{name}" for name, value in new.items() if value not in (None, []))):
        raise FerryError("request.invalid", f"{out} is there: write what {said} would say into it")
    from starter.planning.listing import listed
    from starter.planning.looking import Choice
    from starter.planning.making import Wanted
    from starter.planning.proposing import Waves

    rows = listed(from_) if from_ is not None else []
    wanted = Wanted(
        path=out, choice=Choice(tuple(vms or ()), tuple(tag or ()), tuple(folder or ())), rows=rows,
        waves=Waves(wave_size, wave_by_tag or ""), auto=approval is Approval.AUTO,
    )  # fmt: skip
    if there:
        draft, gone = _updated(wanted, config)
    else:
        wanted.said = {
            "fleet": fleet or _fleet_of(out), "rate": rate, "limits": {"at_once": at_once} if at_once else {},
            "failure_budget": failure_budget,
            "defaults": {
                key: value
                for key, value in (("sr", sr), ("networks", networks_of(network or [])), ("windows", window or []))
                if value
            },
        }  # fmt: skip
        draft, gone = _written(wanted, source, target, site, config)
    _tell(draft, gone, as_, out)


def _typed(context: typer.Context, name: str) -> bool:
    """Whether it was said here, and not by the environment, which is about everything."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _fleet_of(out: Path | None) -> str:
    """By the file's name, as far as a workflow's id takes it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", out.stem if out is not None else "fleet").lstrip("._-")[:100] or "fleet"


def _written(
    wanted: "Wanted", source: str | None, target: str | None, site: str | None, config: Path | None
) -> tuple["Draft", dict[str, str]]:  # fmt: skip
    from starter.dialling import dial
    from starter.planning.making import make

    if not wanted.choice and not wanted.rows:
        raise FerryError("request.invalid", "say which VMs: names, globs ('*': all), --tag, --folder or --from")

    async def work(client: "Client", settings: "Settings") -> tuple["Draft", dict[str, str]]:
        wanted.said |= {"source": settings.source(source), "target": settings.target(target)}
        if at := settings.site(site, wanted.said["source"]):
            wanted.said["defaults"] = {"site": at, **wanted.said["defaults"]}
        return await make(client, wanted)

    return dial(config, work)


def _updated(wanted: "Wanted", config: Path | None) -> tuple["Draft", dict[str, str]]:
    from starter.dialling import dial
    from starter.planning.making import bring_up_to_date
    from starter.planning.reading import read_plan

    assert wanted.path is not None
    draft = read_plan(wanted.path)

    async def work(client: "Client", _: "Settings") -> tuple["Draft", dict[str, str]]:
        return await bring_up_to_date(client, draft, wanted)

    return dial(config, work)


def _check(out: Path | None, vms: list[str], as_: Output) -> None:
    from starter.planning.reading import read_plan

    named = out or (Path(vms[0]) if len(vms) == 1 else None)
    if named is None:
        raise FerryError("request.invalid", "--check takes the file: `ferry plan --check spring.yaml`")
    _tell(read_plan(named), {}, as_, None)


def _tell(draft: "Draft", gone: dict[str, str], as_: Output, out: Path | None) -> None:
    from starter.planning.checking import blocked, problems_of
    from starter.planning.differing import unpinned
    from starter.planning.located import Problem
    from starter.planning.reading import told
    from starter.views.plan import plan_data, plan_view

    if str(draft.path) == "-":
        write(draft.text)
    else:
        put(plan_data(draft.plan) if as_ is not Output.TABLE else None, as_, lambda: plan_view(draft.plan))
    numbers = {member.vm: number for number, member in enumerate(draft.plan.members)}
    problems = problems_of(draft)
    problems += [Problem(draft.line_of(numbers[vm], "vm"), f"{vm}: {why}") for vm, why in gone.items()]
    codes = blocked(draft.plan)
    if out is not None:
        say(f"{out} is written{'' if problems or codes else f'; apply it with `ferry apply {out}`'}")
    if problems:
        raise told(draft.path, problems)
    if not gone and (names := unpinned(draft.plan)):
        say(f"nothing was pinned of {len(names)} VMs, such as {names[0]}: `ferry plan -o {draft.path}` does it")
    if codes:
        say(f"blocked: {', '.join(f'{vm} ({each[0]})' for vm, each in list(codes.items())[:20])}")
        raise typer.Exit(ExitCode.BLOCKED)
