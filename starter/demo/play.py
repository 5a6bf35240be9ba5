"""The demo from outside: set up, play, report, clear away; also on Ctrl-C."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from contracts.errors import ExitCode, FerryError
from starter.demo.stage import Stage
from starter.demo.story import story
from starter.demo.telling import Teller
from starter.demo.verdict import Outcome
from starter.main import INTERRUPTED
from starter.output import Output, put, say
from starter.temporal_cli import find_temporal_cli
from starter.views.report import report_view

LONGEST = 240.0
"""Seconds; it takes about a quarter of that."""


def play(state: Path | None, output: Output) -> int:
    """The exit code: 0 only when all of it holds."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupt)
    stage = Stage(state)
    try:
        find_temporal_cli()  # it may have to be built first: that is set-up, and none of the demo's time
        with Teller() as teller:
            teller.say("a Temporal server, a vCenter and a pool with real bytes are started on this machine")
            stage.build()
            outcome = asyncio.run(asyncio.wait_for(story(stage, teller), LONGEST))
    except KeyboardInterrupt:
        say("interrupted; everything is cleared away")
        return INTERRUPTED
    except TimeoutError:
        say(stage.tails())
        raise FerryError("internal", f"the demo was not over within {LONGEST:.0f} s") from None
    except FerryError:
        say(stage.tails())
        raise
    finally:
        # A second Ctrl-C must not leave anything running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stage.clear()
        signal.signal(signal.SIGINT, signal.default_int_handler)
    put(as_data(outcome), output, lambda: outcome_view(outcome))
    if state is not None:
        say(f"disks and ferry.toml are in {stage.lab_folder}, logs in {stage.logs}")
    return ExitCode.DONE if outcome.holds else ExitCode.ERROR


def as_data(outcome: Outcome) -> dict[str, Any]:
    """The report, and what only the demo knows."""
    return {
        **outcome.report.model_dump(mode="json"),
        "files_equal": outcome.files_equal,
        "worker_killed": outcome.killed_in_initial_sync,
        "segments_durable_at_kill": outcome.killed,
        "seconds": round(outcome.seconds, 1),
    }


def outcome_view(outcome: Outcome) -> RenderableType:
    """The report, then each sentence with whether it holds."""
    lines = [
        Text.assemble(("ok    " if holds else "FAIL  ", "green" if holds else "bold red"), sentence)
        for sentence, holds in outcome.sentences
    ]
    return Group(report_view(outcome.report), Text(), *lines, Text(f"in {outcome.seconds:.0f} s"))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
