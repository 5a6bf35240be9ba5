"""How fast and how many at once: limits of bandwidth, of each migration and of the worker, and turns per host."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime

from contracts.bandwidth import Timetable, parse_bandwidth
from disks.throttle import Throttle

LOOK = 0.5
"""Seconds between looks at whether a wait was called off."""


class _Allowance:
    """A throttle whose timetable can be exchanged; the clock is the worker's."""

    def __init__(self) -> None:
        self.timetable = Timetable()
        self.throttle = Throttle(lambda: self.timetable.at(datetime.now()))


class Limits:
    """What this worker's copies and proofs share.

    Args:
        bandwidth: of all of them together (contracts/bandwidth.py).
        disks_per_host: by source, how many disks are read at once from one host.
    """

    def __init__(self, bandwidth: str = "", disks_per_host: Mapping[str, int] | None = None) -> None:
        self._whole = _Allowance()
        self._whole.timetable = parse_bandwidth(bandwidth)
        self.bandwidth = bandwidth
        self._per_host = disks_per_host or {}
        self._lock = threading.Lock()
        self._migrations: dict[str, _Allowance] = {}
        self._turns: dict[tuple[str, str], threading.Semaphore] = {}

    def allow(self, migration: str, bandwidth: str, count: int, cut: threading.Event) -> bool:
        """Wait until that many bytes may pass, by the migration's limit and the worker's; False when it was cut."""
        if not bandwidth and not self._whole.timetable.entries:
            return not cut.is_set()
        with self._lock:
            its = self._migrations.setdefault(migration, _Allowance())
        its.timetable = parse_bandwidth(bandwidth)
        return its.throttle.take(count, cut) and self._whole.throttle.take(count, cut)

    @contextlib.contextmanager
    def turn(self, source: str, host: str, cut: threading.Event) -> Iterator[bool]:
        """Wait for one of the host's turns; False when the wait was cut."""
        most = self._per_host.get(source)
        if most is None or not host:
            yield not cut.is_set()
            return
        with self._lock:
            turns = self._turns.setdefault((source, host), threading.Semaphore(most))
        while not turns.acquire(timeout=LOOK):
            if cut.is_set():
                yield False
                return
        try:
            yield True
        finally:
            turns.release()
