"""`ferry doctor`: is everything there that a migration needs?"""

import asyncio

import typer

from starter.options import Config, OutputAs, Site
from starter.output import Output, put


def doctor(output: OutputAs = Output.TABLE, site: Site = None, config: Config = None) -> None:
    """Check, in this order: config, Temporal, search attributes, workers, then each system by a worker.

    Each line says ok or fail, with its code and what to do. The exit code is that of the first failure.

    \b
    Examples:
      ferry doctor
      ferry doctor --config /etc/ferry/ferry.toml -o json
      ferry doctor --site dc2                        what the workers of that site see
    """
    from starter.checking import as_row, check_all, exit_code_of
    from starter.views.checks import checks_view

    found = asyncio.run(check_all(config, site or ""))
    put([as_row(each) for each in found], output, lambda: checks_view(found))
    raise typer.Exit(exit_code_of(found))
