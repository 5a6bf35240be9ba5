"""How fast and how many at once: limits of bandwidth, of each migration and of the worker, and turns per host."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from contracts.bandwidth import Timetable, parse_bandwidth
from contracts.capacity import limits_among
from contracts.steps import Errand
from disks.throttle import Throttle

LOOK = 0.5
"""Seconds between looks at whether a wait was called off."""


class _Allowance:
    """A throttle whose timetable can be exchanged; the clock is the worker's.

    Args:
        sharers: how many have as large a part of it.
    """

    def __init__(self, sharers: Callable[[], int] = lambda: 1) -> None:
        self.timetable = Timetable()
        self._sharers = sharers
        self.throttle = Throttle(self._now)

    def _now(self) -> float | None:
        limit = self.timetable.at(datetime.now())
        return None if limit is None else limit / max(1, self._sharers())


class Limits:
    """What this worker's copies and proofs share.

    Args:
        bandwidth: of all of them together (contracts/bandwidth.py).
        disks_per_host: by source, how many disks are read at once from one host.
        budgets: of links and sites, which all workers share: this one takes as large a part as each of ``workers``.
    """

    def __init__(
        self,
        bandwidth: str = "",
        disks_per_host: Mapping[str, int] | None = None,
        budgets: Mapping[str, str] | None = None,
    ) -> None:
        self.workers = 1
        self._budgets = budgets or {}
        self._whole = _Allowance()
        self._whole.timetable = parse_bandwidth(bandwidth)
        self.bandwidth = bandwidth
        self._per_host = disks_per_host or {}
        self._lock = threading.Lock()
        self._migrations: dict[str, _Allowance] = {}
        self._shared: dict[str, _Allowance] = {}
        self._turns: dict[tuple[str, str], threading.Semaphore] = {}

    def allow(self, errand: Errand, bandwidth: str, count: int, cut: threading.Event) -> bool:
        """Wait until that many bytes may pass, by the limits of the migration, its link, its site and the worker.

        Returns:
            False when it was cut.
        """
        if not bandwidth and not self._whole.timetable.entries and not self._budgets:
            return not cut.is_set()
        with self._lock:
            its = self._migrations.setdefault(errand.migration, _Allowance())
            its.timetable = parse_bandwidth(bandwidth)
            shared = [self._share_of(*each) for each in self.budgets_of(errand).items()]
        return all(each.throttle.take(count, cut) for each in (its, *shared, self._whole))

    def budgets_of(self, errand: Errand) -> dict[str, str]:
        """Of its link and its site, as they are written."""
        used = (f"link:{errand.source}/{errand.target}", *((f"site:{errand.site}",) if errand.site else ()))
        return limits_among(self._budgets, used)

    def _share_of(self, name: str, written: str) -> _Allowance:
        if name not in self._shared:
            self._shared[name] = _Allowance(lambda: self.workers)
            self._shared[name].timetable = parse_bandwidth(written)
        return self._shared[name]

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
