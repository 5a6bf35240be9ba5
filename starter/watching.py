"""Watching a migration until it ends or needs its human. Watching never holds it up: it goes on by itself."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from temporalio.client import Client

from contracts.errors import FerryError
from starter.looking import look
from starter.output import say, talk_console
from starter.seen import Seen

LOOK_EVERY = 1.0
LINE_EVERY = 10.0
"""Seconds between JSON lines where nobody sits at a terminal (DESIGN §6)."""
PATIENCE = 600.0
"""Seconds for which Temporal may be away before watching gives up. The migration does not mind."""

Shown = Callable[[Seen], None]


async def watch(client: Client, workflow: str, shown: Shown, *, until_human: bool) -> Seen:
    """Look again and again.

    Args:
        until_human: end, too, as soon as nothing goes on without a human.

    Raises:
        FerryError: ``temporal.unreachable`` after a long silence.
    """
    heard = time.monotonic()
    while True:
        try:
            seen = await look(client, workflow)
        except FerryError as error:
            if error.code != "temporal.unreachable" or time.monotonic() - heard > PATIENCE:
                raise
        else:
            heard = time.monotonic()
            shown(seen)
            if seen.over or (until_human and seen.waits_for_human):
                return seen
        await asyncio.sleep(LOOK_EVERY)


class Lines:
    """One JSON line on stderr each ten seconds, and one when the phase changes."""

    def __init__(self) -> None:
        self._told = float("-inf")
        self._phase = ""

    def __enter__(self) -> Shown:
        return self._shown

    def __exit__(self, *_: object) -> None:
        pass

    def _shown(self, seen: Seen) -> None:
        now = time.monotonic()
        if now - self._told >= LINE_EVERY or seen.phase != self._phase:
            self._told, self._phase = now, seen.phase
            say(progress_line(seen))


class Screen:
    """The same view as `ferry status`, drawn anew each second."""

    def __init__(self) -> None:
        from rich.live import Live

        self._live = Live(console=talk_console(), refresh_per_second=4, transient=True)

    def __enter__(self) -> Shown:
        self._live.__enter__()
        return self._shown

    def __exit__(self, *end: Any) -> None:
        self._live.__exit__(*end)

    def _shown(self, seen: Seen) -> None:
        from starter.views.migration import migration_view

        self._live.update(migration_view(seen))


def progress() -> Lines | Screen:
    """What fits whoever watches: a terminal is drawn on, anything else gets lines."""
    return Screen() if sys.stderr.isatty() else Lines()


def progress_line(seen: Seen) -> str:
    """The JSON line: small, flat, one per look."""
    status = seen.status
    told: dict[str, Any] = {
        "workflow_id": seen.workflow,
        "phase": seen.phase,
        "passes": len(status.passes) if status else None,
        "bytes_sent": status.bytes_sent if status else None,
        "needs_human": status.needs_human if status else "",
        "disks": {
            each.disk: {"step": each.step, "done": each.done, "total": each.total, "rate": round(each.rate)}
            for each in seen.working
            if each.disk
        },
    }
    if seen.silence:
        told["silence"] = seen.silence.code
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)
