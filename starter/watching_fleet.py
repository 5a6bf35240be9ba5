"""Watching a fleet until it has ended. Watching never holds it up."""

import asyncio
import json
import sys
import time
from collections.abc import Callable

from temporalio.client import Client

from contracts.errors import FerryError
from starter.fleets import SeenFleet, fleet_name, look_at
from starter.output import say, talk_console
from starter.watching import LINE_EVERY, PATIENCE

LOOK_EVERY = 2.0
_Shown = Callable[[SeenFleet], None]


async def watch_fleet(client: Client, fleet: str) -> SeenFleet:
    """On a terminal the view of `ferry status`, drawn anew; else a JSON line when its numbers change.

    Raises:
        FerryError: ``temporal.unreachable`` or ``temporal.no_worker`` after a long silence.
    """
    if not sys.stderr.isatty():
        return await _until_over(client, fleet, _Lines().shown)
    from rich.live import Live

    from starter.views.fitting import Fitted
    from starter.views.fleet_status import fleet_status_view

    again = f"ferry fleet status {fleet_name(fleet)}"
    with Live(console=talk_console(), refresh_per_second=2, transient=True) as live:
        return await _until_over(client, fleet, lambda seen: live.update(Fitted(fleet_status_view(seen), again)))


async def _until_over(client: Client, fleet: str, shown: _Shown) -> SeenFleet:
    heard: float | None = None
    while True:
        try:
            seen = await look_at(client, fleet)
        except FerryError as error:
            patient = error.code in ("temporal.unreachable", "temporal.no_worker")
            if heard is None or not patient or time.monotonic() - heard > PATIENCE:
                raise
        else:
            heard = time.monotonic()
            shown(seen)
            if seen.status.over:
                return seen
        await asyncio.sleep(LOOK_EVERY)


class _Lines:
    def __init__(self) -> None:
        self._told, self._said = float("-inf"), ""

    def shown(self, seen: SeenFleet) -> None:
        now, line = time.monotonic(), progress_line(seen)
        if line != self._said or now - self._told >= LINE_EVERY:
            self._told, self._said = now, line
            say(line)


def progress_line(seen: SeenFleet) -> str:
    """Small and flat."""
    now = seen.status
    told = {
        "fleet": now.fleet, "paused": now.paused, "standing": now.standing, "copied": seen.pace.copied,
        "asks": sum(row.asks for row in seen.members),
        "needs_human": sum(bool(row.needs_human) for row in seen.members),
    }  # fmt: skip
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)
