"""What all copies share: each gets the same part of it, and none more than it could use alone."""

from dataclasses import dataclass, field
from heapq import heappop, heappush

LEAST = 1.0
"""Bytes a second: what a calendar shuts off comes on again, and nothing is divided by zero."""


@dataclass
class Pipe:
    """Since all shares are equal, one counter of bytes a share tells of every job how far it is.

    Attributes:
        alone: bytes a second that one job can use.
        together: bytes a second of all.
        taken: bytes a second that something else takes of it: the delta passes of those that wait.
    """

    alone: float
    together: float
    taken: float = 0.0
    _now: float = 0.0
    _passed: float = 0.0
    _jobs: list[tuple[float, str]] = field(default_factory=list)

    @property
    def jobs(self) -> int:
        """That are under way."""
        return len(self._jobs)

    @property
    def share(self) -> float:
        """Bytes a second of each."""
        left = max(LEAST, self.together - self.taken)
        return max(LEAST, min(self.alone, left / max(1, len(self._jobs))))

    def to(self, now: float) -> None:
        """Let time pass. Whatever changes the share changes it from here on."""
        self._passed += (now - self._now) * self.share
        self._now = now

    def put(self, name: str, size: float) -> None:
        """A job begins now."""
        heappush(self._jobs, (self._passed + size, name))

    def next_end(self) -> float | None:
        """When the first ends, if nothing changes."""
        if not self._jobs:
            return None
        return self._now + max(0.0, self._jobs[0][0] - self._passed) / self.share

    def take(self) -> str:
        """The job that ends now."""
        self._passed = max(self._passed, self._jobs[0][0])
        return heappop(self._jobs)[1]
