"""`ferry start`: begin a migration, and wait for it if asked."""

from enum import StrEnum
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.errors import FerryError
from starter.options import Config, OutputAs, Site, Source
from starter.output import Output, put, say, warn

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.request import MigrateVmRequest


class Approval(StrEnum):
    """Who decides the cutover."""

    MANUAL = "manual"
    AUTO = "auto"


class VmwareTools(StrEnum):
    """What becomes of VMware Tools."""

    LEAVE = "leave"
    REMOVE_BEFORE = "remove-before"
    REMOVE_AFTER = "remove-after"


class PowerOff(StrEnum):
    """How the source goes off."""

    GUEST_THEN_ASK = "guest-then-ask"
    GUEST_THEN_HARD = "guest-then-hard"
    HARD = "hard"


class Retire(StrEnum):
    """What becomes of the source in the end."""

    RENAME = "rename"
    NONE = "none"


def start(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="VM",
            help="Name, instanceUuid or moref on the source; or as xo-cli has it: host= user= vm= sr= network=.",
        ),
    ],
    source: Source = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Name of [targets.NAME]; default: the only one.")
    ] = None,
    sr: Annotated[str | None, typer.Option("--sr", help="SR by name or uuid; default: the target's.")] = None,
    network: Annotated[
        list[str] | None, typer.Option("--network", metavar="A=B", help="Source network = target network; repeatable.")
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", help="Template of the pool by name or uuid. [default: by the guest OS]")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", metavar="CODE=REASON", help="Go on although that check blocks; repeatable."),
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(
            "--step", metavar="STEP=REASON", help="Done on the source first: remove-snapshots, eject-iso; repeatable."
        ),
    ] = None,
    vmware_tools: Annotated[
        VmwareTools | None, typer.Option(help="Have the commands told to remove them. [default: leave]")
    ] = None,
    approval: Annotated[Approval | None, typer.Option(help="Who decides the cutover. [default: manual]")] = None,
    delta_interval: Annotated[
        str | None, typer.Option(metavar="TIME", help="Between delta passes: 90s, 15m, 2h. [default: 15m]")
    ] = None,
    downtime_budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Downtime that is fine. [default: 5m]")
    ] = None,
    max_downtime: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="No cutover that is predicted to take longer. [default: no bound]"),
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHEN", help='When it may be: "Sat 22:00-02:00 Europe/Berlin"; repeatable. [default: always]'
        ),
    ] = None,
    quorum: Annotated[int | None, typer.Option(help="Distinct people whose yes it takes. [default: 1]")] = None,
    approval_expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long a yes counts: 12h, 3d. [default: for ever]")
    ] = None,
    max_passes: Annotated[int | None, typer.Option(help="Then ask (or cut over) anyway. [default: 10]")] = None,
    segment_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Data per PUT: 16MiB, 8GiB. [default: 8GiB]")
    ] = None,
    power_off: Annotated[PowerOff | None, typer.Option(help="[default: guest-then-ask]")] = None,
    power_off_patience: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long the guest may take. [default: 10m]")
    ] = None,
    power_off_deadline: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long a hard power-off may take. [default: 2m]")
    ] = None,
    start_target: Annotated[
        bool | None,
        typer.Option("--start/--no-start", help="Start it on the target. [default: as the source is now]"),
    ] = None,
    bandwidth: Annotated[
        str | None, typer.Option(metavar="LIMIT", help='Bytes a second: 50M, or "08:00,50M 19:00,off". [default: off]')
    ] = None,
    smoke: Annotated[
        bool | None,
        typer.Option("--smoke", help="Test it after its start: it must run, and show what --smoke-… names."),
    ] = None,
    smoke_port: Annotated[
        list[int] | None, typer.Option("--smoke-port", metavar="PORT", help="TCP port that must open; repeatable.")
    ] = None,
    smoke_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where. [default: what its guest tools tell]")
    ] = None,
    smoke_tools: Annotated[bool | None, typer.Option("--smoke-tools", help="Its guest tools must answer.")] = None,
    smoke_within: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long its boot may take. [default: 10m]")
    ] = None,
    smoke_reboot: Annotated[
        bool | None, typer.Option("--smoke-reboot", help="Then reboot it in order, and test it again.")
    ] = None,
    smoke_console: Annotated[
        bool | None,
        typer.Option("--smoke-console", help="Look at its console: as text where the pool has it, else a picture."),
    ] = None,
    test_copy: Annotated[
        bool | None,
        typer.Option("--test-copy", help="A copy without cards, of one moment; the source is not stopped."),
    ] = None,
    probation: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Days in which `ferry rollback` still works: 14d. [default: none]"),
    ] = None,
    retire: Annotated[
        Retire | None, typer.Option(help="The source in the end. [default: rename, after a probation; else none]")
    ] = None,
    site: Site = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is over, or needs a human (exit 5).")] = False,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Start the migration of one VM. It goes on whatever becomes of this terminal.

    \b
    Examples:
      ferry start web01
      ferry start web01 --sr local-ext --network "VM Network=lan" --delta-interval 1h
      ferry start web01 --approval auto --wait -o json
      ferry start web01 --window "Sat 22:00-02:00 Europe/Berlin" --quorum 2 --approval-expires 3d --max-downtime 10m
      ferry start host=vcenter.example user=ferry@vsphere.local vm=vm-42 sr=local-ext network=lan

    \b
    Without --wait: 0 once it is accepted. With it: 0 done, 1 or the error's own code when it failed
    (4 preflight blocked, 7 verification failed), 5 when it waits for a human.
    Ctrl-C ends the waiting, never the migration.
    """
    from starter.xo_words import understood

    said = understood(words)
    given: dict[str, Any] = {
        "vm": said.vm,
        "sr": sr or said.sr or None,
        "networks": {**said.networks, **networks_of(network or [])},
        "template": template,
        "overrides": overrides_of(override or []),
        "approved_steps": overrides_of(step or [], "--step STEP"),
        "vmware_tools": vmware_tools and vmware_tools.value,
        "approval": approval and approval.value,
        "delta_interval": delta_interval,
        "downtime_budget": downtime_budget,
        "max_downtime": max_downtime,
        "windows": window,
        "quorum": quorum,
        "approval_expires": approval_expires,
        "max_passes": max_passes,
        "segment_bytes": segment_bytes,
        "power_off": power_off and power_off.value,
        "power_off_patience": power_off_patience,
        "power_off_deadline": power_off_deadline,
        "start_target": start_target,
        "bandwidth": bandwidth,
        "test_copy": test_copy,
        "probation": with_unit(probation),
        "retire": retire and retire.value,
        "smoke": smoke_of(
            smoke, ports=smoke_port, address=smoke_address, guest_tools=smoke_tools, within=smoke_within,
            reboot=smoke_reboot, console=smoke_console,
        ),
    }  # fmt: skip

    from starter.beginning import request_of
    from starter.dialling import dial_with, goes_on
    from starter.settings import load_settings

    settings = load_settings(config)
    named = source or said.source or (settings.source_at(said.host, said.user) if said.host else None)
    given |= {"source": settings.source(named), "target": settings.target(target or said.target or None)}
    request = request_of(given | {"site": settings.site(site, given["source"]) or None})
    begun: list[str] = []
    try:
        code = dial_with(settings, lambda client: _start(client, request, begun, wait=wait, output=output))
    except KeyboardInterrupt:
        if begun:
            goes_on(said.vm)
        raise
    raise typer.Exit(code)


async def _start(client: "Client", request: "MigrateVmRequest", begun: list[str], *, wait: bool, output: Output) -> int:
    from starter.beginning import begin
    from starter.polling import unpolled

    handle = await begin(client, request)
    begun.append(handle.id)
    if queues := await unpolled(client, request.site):
        warn("temporal.no_worker", f"it is accepted, but no worker polls {' and '.join(map(repr, queues))}")
    if wait:
        from starter.waiting import wait_and_report

        say(f"started {handle.id}")
        return await wait_and_report(client, handle.id, output)
    started = {
        "workflow_id": handle.id,
        "run_id": handle.result_run_id,
        "vm": request.vm,
        "source": request.source,
        "target": request.target,
    }
    put(started, output, lambda: handle.id)
    say(f"started; watch it with `ferry status {quote(request.vm)} --watch`")
    return 0


def smoke_of(wanted: bool | None, **given: Any) -> dict[str, Any] | None:
    """The request's ``smoke``: asked for by any of its words."""
    named = {key: value for key, value in given.items() if value not in (None, [])}
    return named if wanted or named else None


def networks_of(pairs: list[str]) -> dict[str, str]:
    """``["VM Network=lan"]`` as a mapping.

    Raises:
        FerryError: ``request.invalid``.
    """
    networks: dict[str, str] = {}
    for pair in pairs:
        name, is_pair, other = pair.rpartition("=")
        if not is_pair or not name.strip() or not other.strip():
            raise FerryError("request.invalid", f"--network {pair!r}: write SOURCE-NETWORK=TARGET-NETWORK")
        networks[name.strip()] = other.strip()
    return networks


def overrides_of(pairs: list[str], option: str = "--override CODE") -> dict[str, str]:
    """``["preflight.usb=a dongle that nobody uses"]`` as a mapping.

    Raises:
        FerryError: ``request.invalid``.
    """
    overrides: dict[str, str] = {}
    for pair in pairs:
        code, _, reason = pair.partition("=")
        if not code.strip() or not reason.strip():
            raise FerryError("request.invalid", f"{pair!r}: write {option}=REASON, the reason is recorded")
        overrides[code.strip()] = reason.strip()
    return overrides


def with_unit(probation: str | None) -> str | None:
    """Of days, a bare number would be taken for seconds, and the source be retired at once.

    Raises:
        FerryError: ``request.invalid``.
    """
    if probation is not None and probation.strip().isdigit():
        raise FerryError("request.invalid", f"--probation {probation}: say of what: {probation.strip()}d, or 12h")
    return probation
