"""`ferry lab up`: vSphere and XCP-ng on this machine, with real bytes."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="A vCenter and a pool on this machine, to try on.")


@app.callback()
def lab() -> None:
    """A vCenter and a pool on this machine, to try on: simulators that hold real disks."""


@app.command("up")
def up(
    inventory: Annotated[
        Path, typer.Option("--inventory", "-i", exists=True, dir_okay=False, help="YAML: what the lab holds.")
    ],
    state: Annotated[Path, typer.Option("--state", "-s", file_okay=False, help="Folder for disks, keys, ferry.toml.")],
    speed: Annotated[float, typer.Option("--speed", help="Run the lab's clocks that much faster.")] = 1.0,
) -> None:
    """Run both simulators in the foreground, until Ctrl-C.

    When ready, one JSON line with the addresses is printed, and DIR/ferry.toml names them.

    \b
    Example:
      ferry lab up --inventory lab.yaml --state /tmp/lab
      python worker.py --config /tmp/lab/ferry.toml          (in another terminal)
      ferry start web01 --config /tmp/lab/ferry.toml --wait  (in a third)
    """
    sys.stdout.flush()
    sys.stderr.flush()
    command = lab_command(inventory, state, speed)
    # This process becomes the lab: signals, output and exit code are its own.
    os.execv(command[0], command)  # noqa: S606


def lab_command(inventory: Path, state: Path, speed: float = 1.0) -> list[str]:
    """The lab as a process of its own: nothing that ships imports the simulators."""
    command = [sys.executable, "-m", "simulators", "up", "--inventory", str(inventory), "--state", str(state)]
    return command if speed == 1.0 else [*command, "--speed", str(speed)]
