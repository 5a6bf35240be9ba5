"""A transport that fails for good is left for the next one, in the middle of the work."""

from collections.abc import Callable
from typing import TypeVar

from activities.running import log
from contracts.errors import FerryError
from disks.protocols import DiskSource

Result = TypeVar("Result")


def down_the_ladder(source: DiskSource, work: Callable[[], Result]) -> Result:
    """Do the work; each time a transport is given up, do it again: it goes on from what is durable."""
    while True:
        try:
            return work()
        except FerryError as error:
            if not source.step_down(error):
                raise
            log.warning("transport given up", code=error.code, message=error.message, now=source.transport)
