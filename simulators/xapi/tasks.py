"""Tasks and their clocks: completed ones go after 65 minutes, pending ones after 24 h (xapi.md §3.10)."""

import threading
from datetime import UTC, datetime

from simulators.clock import Clock
from simulators.xapi.database import Database
from simulators.xapi.failure import XapiFailure

COMPLETED_FOR = 3900.0
PENDING_FOR = 24 * 3600.0
MOST = 200


class Tasks:
    """Task records; a change wakes those who wait for events."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self.changed = threading.Condition()
        self.generation = 0
        self.log: list[tuple[int, str, str]] = []  # generation, operation, ref
        self._born: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._to_lose = self.lost = 0

    def lose(self, _: object = None) -> bool:
        """On order: the next task that ends is lost with its outcome (xapi.md §3.12: HANDLE_INVALID)."""
        self._to_lose += 1
        return True

    def create(self, label: str, description: str, session: str = "") -> str:
        """A pending task."""
        self.collect()
        ref = self._db.add(
            "task", name_label=label, name_description=description, status="pending", created=datetime.now(UTC)
        )
        self._born[ref] = self._clock.now()
        self._tell("add", ref)
        return ref

    def succeed(self, ref: str, result: str) -> None:
        """The end, well."""
        self._finish(ref, status="success", result=result, progress=1.0)

    def fail(self, ref: str, error: list[str]) -> None:
        """The end, badly."""
        self._finish(ref, status="failure", error_info=error, progress=1.0)

    def cancel_pending(self) -> None:
        """What a restart of the toolstack does to the tasks of its host."""
        for ref, record in self._db.all("task").items():
            if record["status"] == "pending":
                self._finish(ref, status="cancelled")

    def destroy(self, ref: str) -> None:
        """Forget the record."""
        self._db.get("task", ref)
        self._db.remove("task", ref)
        self._born.pop(ref, None)
        self._ended.pop(ref, None)
        self._tell("del", ref)

    def touched(self, ref: str) -> None:
        """A field was changed."""
        self._tell("mod", ref)

    def collect(self) -> None:
        """What XAPI's database collector does."""
        now = self._clock.now()
        old = [ref for ref, at in self._ended.items() if now - at > COMPLETED_FOR]
        old += [ref for ref, at in self._born.items() if ref not in self._ended and now - at > PENDING_FOR]
        over = len(self._db.all("task")) - MOST
        if over > 0:
            old += sorted(self._ended, key=lambda ref: self._ended[ref])[:over]
        for ref in dict.fromkeys(old):
            if self._db.has("task", ref):
                self.destroy(ref)

    def _finish(self, ref: str, **values: object) -> None:
        try:
            record = self._db.get("task", ref)
        except XapiFailure:
            return  # the record is lost: nobody will learn the outcome
        if record["status"] != "pending":
            return
        if self._to_lose:
            self._to_lose -= 1
            self.lost += 1
            return self.destroy(ref)
        record.update(values, finished=datetime.now(UTC))
        self._ended[ref] = self._clock.now()
        self._tell("mod", ref)

    def _tell(self, operation: str, ref: str) -> None:
        with self.changed:
            self.generation += 1
            self.log = [*self.log[-999:], (self.generation, operation, ref)]
            self.changed.notify_all()
