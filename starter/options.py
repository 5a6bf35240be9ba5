"""Arguments and options that several commands share, so that they are named and told alike."""

from pathlib import Path
from typing import Annotated

import typer

from starter.output import Output

Vm = Annotated[str, typer.Argument(metavar="VM", help="Name of the VM, or a full workflow id (migrate/vc/web01).")]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="ferry.toml; default: $FERRY_CONFIG, else ferry.toml in this folder."),
]
Source = Annotated[str | None, typer.Option("--source", help="Name of [sources.NAME]; default: the only one.")]
Site = Annotated[
    str | None,
    typer.Option(
        "--site", envvar="FERRY_SITE", help="Workers of that site do it; default: as ferry.toml says of the source."
    ),
]
OutputAs = Annotated[Output, typer.Option("--output", "-o", help="How data is written to stdout.")]
Who = Annotated[str | None, typer.Option("--who", help="In whose name; default: the user who types.")]
Note = Annotated[str, typer.Option("--note", help="Why; it is kept with the migration.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
