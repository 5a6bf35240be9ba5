"""`ferry move-disk`: the disks of a running VM go to another SR of its pool."""

from typing import TYPE_CHECKING, Annotated

import typer

from starter.options import Config, OutputAs, Site, Who
from starter.output import Output, put

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.move_disk import MoveDiskReport
    from starter.settings import Settings


def move_disk(
    vm: Annotated[str, typer.Argument(metavar="VM", help="Name or uuid of the VM on the pool; it must run.")],
    sr: Annotated[str, typer.Option("--sr", help="Where to: an SR by name or uuid.")],
    disk: Annotated[str, typer.Option("--disk", help="userdevice or VDI uuid; default: all of them.")] = "",
    target: Annotated[
        str | None, typer.Option("--target", help="Name of [targets.NAME]; default: the only one.")
    ] = None,
    who: Who = None,
    site: Site = None,
    output: OutputAs = Output.TABLE,
    config: Config = None,
) -> None:
    """Move the disks of a running VM to another SR: what cures "opening journal failed: -2" (xapi.journal_damaged).

    \b
    Example:
      ferry move-disk web01 --sr nfs1
    """
    from starter.dialling import dial
    from starter.moving import move
    from starter.sending import speaker

    async def work(client: "Client", settings: "Settings") -> "MoveDiskReport":
        to = settings.target(target)
        return await move(client, to, vm=vm, sr=sr, disk=disk, who=speaker(who), site=site or "")

    report = dial(config, work)
    lines = [f"disk {each.device}: {'moved' if each.moved else 'was there'}, VDI {each.vdi}" for each in report.disks]
    put(report, output, lambda: "\n".join(lines))
