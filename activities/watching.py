"""A source that must stay off is looked at while bytes are read: whoever switches it on is noticed within seconds."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from contracts.errors import FerryError
from contracts.machine import Power
from platforms.ports import Source

LOOK = 5.0
"""Seconds between two looks: one small call each."""


@contextmanager
def staying_off(source: Source, machine_id: str, cut: threading.Event) -> Iterator[None]:
    """While the block runs, the machine is looked at; when it is seen on, the cut is set, and the block ends in order.

    A source that does not answer tells nothing: whoever reads it hears that first.

    Raises:
        FerryError: ``vsphere.powered_on_again`` at the end of the block, whatever that came to.
    """
    seen: list[datetime] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                if source.power(machine_id) is not Power.OFF:
                    seen.append(datetime.now(UTC))
                    cut.set()
                    return
            except FerryError:
                pass
            over.wait(LOOK)

    watcher = threading.Thread(target=look, daemon=True, name="staying-off")
    watcher.start()
    failed: FerryError | None = None
    try:
        yield
    except FerryError as error:
        failed = error
    finally:
        over.set()
    if seen:
        raise FerryError("vsphere.powered_on_again", f"somebody switched the source on; seen at {seen[0]:%H:%M:%S} UTC")
    if failed is not None:
        raise failed
