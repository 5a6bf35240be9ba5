"""What is looked at while bytes are read: that a source stays off, that our snapshot does not fill its datastore."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from contracts.errors import FerryError
from contracts.machine import Power, StoreRoom
from contracts.sizes import spoken_size
from contracts.steps import Freeze
from platforms.ports import Source

LOOK = 5.0
"""Seconds between two looks at the power: one small call each."""
MEASURE = 30.0
"""Seconds between two looks at the room: a refresh of the VM's layout each."""
MOST_AGE = timedelta(hours=24)
"""Of a snapshot of ours: consolidating an old one of a busy guest takes hours."""
LEAST_FREE, LEAST_SHARE = 50 << 30, 0.05
"""A datastore is short of room below the smaller of these bytes and that share of its capacity."""
WORTH = 1 << 30
"""Bytes that our snapshot must have grown before it is given up for room that was short already when it was taken:
so that every pass comes to something."""


@contextmanager
def staying_off(source: Source, machine_id: str, cut: threading.Event) -> Iterator[None]:
    """While the block runs, the machine is looked at; when it is seen on, the cut is set, and the block ends in order.

    Raises:
        FerryError: ``vsphere.powered_on_again`` at the end of the block, whatever that came to.
    """

    def look() -> str:
        if source.power(machine_id) is Power.OFF:
            return ""
        return f"somebody switched the source on; seen at {datetime.now(UTC):%H:%M:%S} UTC"

    failed: FerryError | None = None
    with _looking(look, LOOK, cut) as seen:
        try:
            yield
        except FerryError as error:
            failed = error
    if seen:
        raise FerryError("vsphere.powered_on_again", seen[0])
    if failed is not None:
        raise failed


@contextmanager
def with_room(source: Source, machine_id: str, freeze: Freeze, cut: threading.Event) -> Iterator[list[str]]:
    """While the block runs, our snapshot is measured; at a limit the cut is set: the pass ends, and its rest is owed.

    Yields:
        A list that then holds why.
    """

    def look() -> str:
        age = datetime.now(UTC) - freeze.taken_at if freeze.taken_at is not None else timedelta(0)
        return out_of_room(source.room(machine_id), age)

    with _looking(look, MEASURE, cut, at_once=False) as why:
        yield why


def out_of_room(rooms: Sequence[StoreRoom], age: timedelta) -> str:
    """Why a snapshot of ours must go now; empty when it may stay (SAFETY 10)."""
    if age > MOST_AGE:
        return f"the snapshot was {MOST_AGE.total_seconds() / 3600:.0f} h old"
    for each in rooms:
        least = min(LEAST_FREE, int(each.capacity * LEAST_SHARE))
        short = each.free < least and each.grown >= WORTH
        if short or each.grown > each.free:
            return (
                f"the snapshot had grown to {spoken_size(each.grown)} on {each.datastore}, "
                f"which has {spoken_size(each.free)} free"
            )
    return ""


@contextmanager
def _looking(
    look: Callable[[], str], every: float, cut: threading.Event, *, at_once: bool = True
) -> Iterator[list[str]]:
    """Look every so many seconds, until something is seen. A source that does not answer tells nothing:
    whoever reads it hears that first."""
    seen: list[str] = []
    over = threading.Event()

    def run() -> None:
        if not at_once:
            over.wait(every)
        while not over.is_set():
            try:
                if told := look():
                    seen.append(told)
                    cut.set()
                    return
            except FerryError:
                pass
            over.wait(every)

    threading.Thread(target=run, daemon=True, name="looking").start()
    try:
        yield seen
    finally:
        over.set()
