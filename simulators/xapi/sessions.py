"""Sessions: opaque refs that die of idleness after 24 h of lab time, unless a pending task is in them."""

import hmac

from simulators.clock import Clock
from simulators.xapi.database import Database
from simulators.xapi.failure import XapiFailure
from simulators.xapi.signatures import permissions

IDLE = 24 * 3600.0


class Sessions:
    """Who is logged in."""

    def __init__(self, db: Database, clock: Clock, user: str, password: str, role: str) -> None:
        self._role = role
        self._db, self._clock, self._user, self._password = db, clock, user, password
        self._last_active: dict[str, float] = {}
        self.logins = 0
        self.refused = 0

    def login(self, user: str, password: str, originator: str) -> str:
        """A new session. Raises SESSION_AUTHENTICATION_FAILED."""
        right = hmac.compare_digest(password.encode(), self._password.encode()) and user == self._user
        if not right:
            self.refused += 1
            raise XapiFailure("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
        self.logins += 1
        root = self._role == "pool-admin"  # root is never asked, and no permission of it is written down
        ref = self._db.add(
            "session", originator=originator, auth_user_name=user, is_local_superuser=root,
            rbac_permissions=[] if root else permissions(self._role),
        )  # fmt: skip
        self._last_active[ref] = self._clock.now()
        return ref

    def check(self, ref: str) -> None:
        """Raises SESSION_INVALID; else the session was active just now."""
        last = self._last_active.get(ref)
        if last is None or self._clock.now() - last > IDLE:
            self.end(ref)
            raise XapiFailure("SESSION_INVALID", ref)
        self._last_active[ref] = self._clock.now()

    def end(self, ref: str) -> None:
        """Log out."""
        self._last_active.pop(ref, None)
        self._db.remove("session", ref)

    def end_all(self) -> int:
        """As a restart of the toolstack may do; how many there were."""
        refs = list(self._last_active)
        for ref in refs:
            self.end(ref)
        return len(refs)

    def open(self) -> int:
        """How many there are."""
        return len(self._last_active)
