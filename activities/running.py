"""How every activity runs: blocking work in a thread, a heartbeat a second, errors by their codes."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from contracts.base import Contract
from contracts.errors import FerryError, Remedy

Result = TypeVar("Result")
BEAT = 1.0
"""Seconds between heartbeats (SAFETY 3)."""

log = structlog.get_logger()


def as_application_error(error: FerryError) -> ApplicationError:
    """The code becomes the type; ``retry`` and ``redo`` are tried again by Temporal, the rest is not (SAFETY 21)."""
    return ApplicationError(error.message, type=error.code, non_retryable=error.remedy in (Remedy.ASK, Remedy.FAIL))


async def in_thread(
    work: Callable[[], Result], *, pool: Executor, details: Callable[[], Contract] | None = None
) -> Result:
    """Run blocking work and heartbeat until it ends.

    A cancelled activity still waits for its work: a step on a hypervisor that has begun is seen to its end, so
    that the next attempt never meets it half-way (temporal.md §2, §7.10).
    """
    return await _until_done(asyncio.get_running_loop().run_in_executor(pool, work), details, None)


async def cuttable(
    work: Callable[[threading.Event], Result], *, pool: Executor, details: Callable[[], Contract]
) -> Result:
    """Run blocking work that watches an event: cancelling the activity sets it (SAFETY 4).

    Raises:
        CancelledError: when the worker shuts down: the server hands the activity to the next worker at once.
    """
    cut = threading.Event()
    return await _until_done(asyncio.get_running_loop().run_in_executor(pool, work, cut), details, cut)


async def _until_done(
    future: asyncio.Future[Result], details: Callable[[], Contract] | None, cut: threading.Event | None
) -> Result:
    shutting_down = False
    while not future.done():
        try:
            await asyncio.wait({future}, timeout=BEAT)
        except asyncio.CancelledError:
            told = activity.cancellation_details()
            shutting_down = told is not None and told.worker_shutdown
            if cut is not None:
                cut.set()
        if details is not None:
            activity.heartbeat(details())
        else:
            activity.heartbeat()
    if shutting_down and cut is not None:
        future.exception()  # whatever it was, the next worker goes on from the journal
        raise asyncio.CancelledError
    try:
        return future.result()
    except FerryError as error:
        log.warning("step failed", code=error.code, message=error.message, activity=activity.info().activity_type)
        raise as_application_error(error) from None
