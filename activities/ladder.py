"""A transport that fails for good is left for the next one, in the middle of the work; one that hangs is hung up."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from activities.running import log
from contracts.errors import FerryError
from disks.protocols import DiskSource

Result = TypeVar("Result")
LOOK = 0.2
"""Seconds between looks at the cut."""
GRACE = 0.5
"""Seconds in which a read comes to its end by itself after a cut, unless the source hangs."""


def down_the_ladder(source: DiskSource, work: Callable[[], Result], cut: threading.Event) -> Result:
    """Do the work; each time a transport is given up, do it again: it goes on from what is durable."""
    with _hung_up_by(cut, source):
        while True:
            try:
                return work()
            except FerryError as error:
                if cut.is_set() or not source.step_down(error):
                    raise
                log.warning("transport given up", code=error.code, message=error.message, now=source.transport)


@contextlib.contextmanager
def _hung_up_by(cut: threading.Event, source: DiskSource) -> Iterator[None]:
    """A source that does not answer keeps nobody from a pause: what waits for it is ended after a cut (SAFETY 4)."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK):
            if cut.is_set():
                if not over.wait(GRACE):
                    source.hang_up()
                return

    watching = threading.Thread(target=watch, name="cut", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
