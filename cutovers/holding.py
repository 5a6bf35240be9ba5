"""What holds a cutover back though it is approved: the windows, and the longest downtime. Pure: no Temporal."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.durations import spoken
from contracts.migration import MigrationState
from contracts.request import MigrateVmRequest
from cutovers.approving import longest_downtime

OVERRUN = 1.5
"""A downtime may take so many times its budget before it is cut short: to undo a cutover that is nearly through costs
more downtime than to end it."""
HOLDS = frozenset({"cutover.no_window", "cutover.window_too_short", "cutover.downtime_exceeded"})
"""Codes of what a human should see to, while passes go on."""


@dataclass(frozen=True)
class Hold:
    """``code``: empty where nobody need do anything. ``until``: when to look again; None: after a pass."""

    message: str
    code: str = ""
    until: datetime | None = None


def windows_of(state: MigrationState, request: MigrateVmRequest) -> tuple[str, ...]:
    """Those that hold now; none: a cutover may be at any time."""
    return request.windows if state.windows is None else state.windows


def calendar_is_due(state: MigrationState, request: MigrateVmRequest, now: datetime) -> bool:
    """Whether it must be looked up which window is next."""
    if not windows_of(state, request) or state.no_window_left:
        return False
    return state.window is None or now >= state.window.closes


def hold(state: MigrationState, request: MigrateVmRequest, now: datetime) -> Hold | None:
    """Why a cutover may not begin now; None: it may."""
    predicted = timedelta(seconds=state.predicted_downtime_s or 0.0)
    windows, window = windows_of(state, request), state.window
    if windows and state.no_window_left:
        return Hold("every window of the request is over", "cutover.no_window")
    if windows and window is not None and predicted > window.closes - window.opens:
        told = f"the window is open for {spoken(window.closes - window.opens)}, and predicted are {spoken(predicted)}"
        return Hold(told, "cutover.window_too_short", window.closes)
    most = longest_downtime(state, request)
    if most is not None and predicted > most:
        told = f"the predicted downtime is {spoken(predicted)}, and no more than {spoken(most)} was allowed"
        return Hold(told, "cutover.downtime_exceeded")
    if not windows:
        return None
    if window is None or now >= window.closes:
        return Hold("the next window is being looked up", until=now)
    if now < window.opens:
        return Hold(f"waits for the window that opens at {_moment(window.opens)}", until=window.opens)
    if now + predicted > window.closes:
        told = f"the predicted downtime of {spoken(predicted)} does not fit before the window closes"
        return Hold(f"{told} at {_moment(window.closes)}: waits for the next", until=window.closes)
    return None


def overruns_at(
    state: MigrationState, request: MigrateVmRequest, off_at: datetime, rest: timedelta, *, watch_budget: bool
) -> datetime | None:
    """When a downtime that began then is longer than it may be; None: nothing bounds it.

    The bound that somebody named counts as it is. The budget is a wish: half as much again is let pass, and where
    the prediction did not fit it and the cutover was wanted all the same, it bounds nothing.

    Args:
        rest: what must still come after what is watched.
    """
    most = longest_downtime(state, request)
    if most is None:
        predicted = state.predicted_downtime_s
        if not watch_budget or predicted is None or predicted > request.downtime_budget.total_seconds():
            return None
        most = request.downtime_budget * OVERRUN
    return off_at + max(most - rest, timedelta(0))


def _moment(at: datetime) -> str:
    return f"{at:%a %Y-%m-%d %H:%M} UTC"
