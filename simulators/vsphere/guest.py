"""What runs inside a machine: writes of 4 KiB anywhere, the last sector too, and a burst at shutdown."""

import random
import threading
import time
from typing import TYPE_CHECKING

from simulators.inventory import Guest
from simulators.vsphere.chain import Disk

if TYPE_CHECKING:
    from simulators.vsphere.machine import Machine

WRITE = 4096


class GuestOs:
    """One thread while the machine runs and writes; every write has content of its own."""

    def __init__(self, machine: "Machine", said: Guest) -> None:
        self._machine, self._said = machine, said
        self._chance = random.Random(said.seed)  # noqa: S311  reproducible content
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.quiet = False  # on order: it runs and writes nothing
        self.written = 0

    def boot(self) -> None:
        """Begin to write."""
        self._stop.clear()
        if self._said.writes_mib_per_s > 0:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def halt(self, *, burst: bool) -> None:
        """Stop writing; in order it flushes what it has first."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None
        if burst and self._said.writes_mib_per_s > 0:
            for _ in range(int(self._said.shutdown_burst_mib * (1 << 20)) // WRITE):
                self._write_somewhere()
            for disk in self._machine.disks:
                self._write(disk, disk.capacity - 512, 512)

    def _work(self) -> None:
        rate = self._said.writes_mib_per_s * (1 << 20)
        began, written = time.monotonic(), 0
        while not self._stop.is_set():
            if self.quiet:
                began, written = time.monotonic(), 0
                self._stop.wait(0.05)
                continue
            self._write_somewhere()
            written += WRITE
            ahead = written / rate - (time.monotonic() - began)
            if ahead > 0.01:
                self._stop.wait(min(ahead, 0.2))

    def _write_somewhere(self) -> None:
        disk = self._chance.choice(self._machine.disks)
        span = disk.capacity
        if self._said.writes_span_mib is not None:
            span = min(span, int(self._said.writes_span_mib * (1 << 20)))
        if self._chance.random() < 0.02 or span < WRITE:
            return self._write(disk, disk.capacity - 512, 512)
        return self._write(disk, self._chance.randrange(span // WRITE) * WRITE, WRITE)

    def _write(self, disk: Disk, offset: int, length: int) -> None:
        length = min(length, disk.capacity - offset)
        disk.write(offset, self._chance.randbytes(length))
        self.written += length
