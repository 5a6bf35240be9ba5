"""Who is logged in: by cookie, for thirty idle minutes."""

import hmac
import threading
import uuid
from dataclasses import dataclass, field

from simulators.clock import Clock
from simulators.vsphere.collector import Views

IDLE = 1800.0
MOST = 500
"""Per user (vsphere.md §5): sessions that nobody ends lock everybody out."""


@dataclass
class Session:
    """A login."""

    key: str
    last_active: float
    views: Views = field(default_factory=Views)
    ended: threading.Event = field(default_factory=threading.Event)


class Sessions:
    """All sessions, by the cookie's value."""

    def __init__(self, clock: Clock, user: str, password: str) -> None:
        self._clock, self._user, self._password = clock, user, password
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()
        self.logins = self.refused = self.most = 0

    def login(self, user: str, password: str) -> Session | None:
        """A new session; None where the password is wrong, or too many are open."""
        right = hmac.compare_digest(password.encode(), self._password.encode()) and user == self._user
        with self._lock:
            if not right or len(self._open) >= MOST:
                self.refused += 1
                return None
            self.logins += 1
            made = Session(uuid.uuid4().hex, self._clock.now())
            self._open[made.key] = made
            self.most = max(self.most, len(self._open))
            return made

    def find(self, key: str) -> Session | None:
        """A session that is not over; it was active just now."""
        with self._lock:
            found = self._open.get(key)
            if found is None:
                return None
            if self._clock.now() - found.last_active > IDLE:
                self._open.pop(key).ended.set()
                return None
            found.last_active = self._clock.now()
            return found

    def end(self, key: str) -> None:
        """Log out."""
        with self._lock:
            found = self._open.pop(key, None)
        if found is not None:
            found.ended.set()

    def end_all(self) -> int:
        """As a restart of vpxd does; how many there were."""
        keys = list(self._open)
        for key in keys:
            self.end(key)
        return len(keys)

    def count(self) -> int:
        """How many are open."""
        return len(self._open)
