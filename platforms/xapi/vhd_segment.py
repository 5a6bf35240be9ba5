"""A segment as a VHD stream: the one fall-back, for hosts that refuse chunked raw (DESIGN §4).

A VHD begins with its table, so the segment is gathered first and sent at its end: it is small, and each block that it
touches costs 2 MiB on the wire.
"""

from collections.abc import Callable

from contracts.errors import FerryError
from contracts.steps import ShellDisk
from disks.vhd_writer import vhd_of
from platforms.xapi import tasks
from platforms.xapi.connection import Connection
from platforms.xapi.exchange import Exchange
from platforms.xapi.segment import SegmentPut

MOST_GATHERED = 32 << 20
"""Bytes of a segment, which are held in memory."""
SECTOR = 512


class VhdSegmentPut(SegmentPut):
    """A :class:`disks.protocols.SegmentWriter`.

    Args:
        dial: opens the PUT, as far as its 200.
    """

    def __init__(
        self, api: Connection, dial: Callable[[], Exchange], task: tasks.Task, label: str, disk: ShellDisk
    ) -> None:
        super().__init__(api, None, task, label, disk)
        self._dial = dial
        self._pieces: list[tuple[int, bytes]] = []

    def write(self, offset: int, data: memoryview | bytes) -> None:
        """Keep one piece, in whole sectors."""
        view = memoryview(data).cast("B")
        end = offset + len(view)
        if self._over or offset < 0 or offset % SECTOR or end % SECTOR or end > self._disk.virtual_size:
            raise FerryError("internal", f"{self._label}: no VHD can hold [{offset}, {end})")
        if len(view):
            self._pieces.append((offset, bytes(view)))
            self._sent += len(view)

    def terminate(self) -> None:
        """Send it all."""
        self._exchange = self._dial()
        for part in vhd_of(self._pieces, self._disk.virtual_size):
            self._send(part)
        self._pieces.clear()
        self._over = True
        self._teller.at(self._disk.virtual_size)

    def abandon(self) -> None:
        """Before its PUT there is nothing to reset, only a task that the next writer would wait for. Never raises."""
        gathering = self._exchange is None and not self._over
        super().abandon()
        self._pieces.clear()
        if gathering:
            tasks.discard(self._api, self._task.ref)
