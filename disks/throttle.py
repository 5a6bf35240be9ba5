"""No more bytes a second than were allowed: shared by all disks to which one limit applies."""

import threading
import time
from collections.abc import Callable

SLICE = 0.5
"""Seconds between looks at the limit while waiting: it may have been lifted by the clock."""


class Throttle:
    """One allowance. Used by several threads; who comes first is served first.

    Args:
        limit: bytes a second just now; None for no limit.
    """

    def __init__(self, limit: Callable[[], float | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, count: int, cut: threading.Event) -> bool:
        """Wait until that many bytes may pass; False when it was cut meanwhile."""
        limit = self._limit()
        if limit is None:
            return not cut.is_set()
        with self._lock:
            turn = max(self._free_at, self._clock())
            self._free_at = turn + count / limit
        while (left := turn - self._clock()) > 0:
            if cut.wait(min(left, SLICE)):
                return False
            if self._limit() is None:
                with self._lock:
                    self._free_at = self._clock()  # what was laid by for others is theirs at once, too
                break
        return not cut.is_set()
