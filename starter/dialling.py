"""One command, one connection."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from shlex import quote
from typing import NoReturn, TypeVar

import typer
from temporalio.client import Client

from contracts.errors import ExitCode
from starter.connecting import connect
from starter.main import INTERRUPTED
from starter.output import say
from starter.settings import Settings, load_settings

Result = TypeVar("Result")


def dial(config: Path | None, work: Callable[[Client, Settings], Awaitable[Result]]) -> Result:
    """Read the config, connect, and do the work."""
    settings = load_settings(config)
    return dial_with(settings, lambda client: work(client, settings))


def dial_with(settings: Settings, work: Callable[[Client], Awaitable[Result]]) -> Result:
    """Connect, and do the work."""

    async def connected() -> Result:
        return await work(await connect(settings.temporal))

    return asyncio.run(connected())


def goes_on(vm: str) -> NoReturn:
    """Ctrl-C while watching ends the watching, not the work.

    Raises:
        typer.Exit: always, with 130.
    """
    say(f"\nthe migration goes on; watch it with `ferry status {quote(vm)} --watch`")
    raise typer.Exit(INTERRUPTED)


def confirmed(question: str, *, yes: bool) -> None:
    """Ask before something that matters; the question goes to stderr.

    Raises:
        typer.BadParameter: nobody can be asked here.
        typer.Exit: they said no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{question} Nobody can be asked here: say --yes.")
    if not typer.confirm(question, err=True):
        say("nothing was done")
        raise typer.Exit(ExitCode.ERROR)
