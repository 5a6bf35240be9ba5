"""`ferry demo`: the whole of it on this machine, in a minute."""

from pathlib import Path
from typing import Annotated

import typer

from starter.options import OutputAs
from starter.output import Output


def demo(
    state: Annotated[
        Path | None,
        typer.Option("--state", file_okay=False, help="Keep disks, logs and ferry.toml in this folder."),
    ] = None,
    output: OutputAs = Output.TABLE,
) -> None:
    """Migrate a running two-disk VM between simulators with real bytes, kill the worker midway, prove the result.

    Starts a Temporal dev server, a lab (vSphere and XCP-ng) and a worker, and ends them again.

    \b
    Examples:
      ferry demo
      ferry demo -o json
      ferry demo --state /tmp/ferry-demo      then look at the disks with qemu-img

    \b
    Ends 0 only when the migration is done, both proofs hold, source and target files are equal, the worker was
    killed in the initial sync, and no more than one segment per disk was sent again.
    """
    from starter.demo.play import play

    raise typer.Exit(play(state, output))
