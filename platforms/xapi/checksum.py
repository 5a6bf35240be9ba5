"""VDI.checksum: the pool itself computes the MD5 of a whole VDI (xapi.md §4.3). Slow, and nobody can stop it."""

import re
import time

from contracts.errors import FerryError
from contracts.names import OwnerKey
from contracts.steps import Errand
from platforms.xapi import tasks
from platforms.xapi.connection import Connection
from platforms.xapi.faults import XapiFailure
from platforms.xapi.lookup import Record, vdi_ref
from platforms.xapi.marks import TASK_ASKER, TASK_CHECKSUM

FIRST_LOOK, LOOK_SECONDS = 0.2, 5.0
TRIES = 3
"""A toolstack that restarts loses the work; the source need not be read again for that."""
_TRANSIENT = ("xapi.unreachable", "xapi.busy")
_MD5 = re.compile(r"[0-9a-f]{32}")


class VdiChecksum:
    """A :class:`disks.protocols.Checksum`. One that an earlier attempt asked for is waited for instead of a second.

    Args:
        asker: who the attempts are of. What others have asked for tells of the VDI as it was then, and is never used.
    """

    def __init__(self, api: Connection, vdi: str, errand: Errand, asker: str) -> None:
        self._api, self._vdi, self._errand, self._asker = api, vdi, errand, asker
        self.virtual_size = int(api.call("VDI.get_virtual_size", vdi_ref(api, vdi)))
        self._next, self._wait, self._tries = 0.0, FIRST_LOOK, 0
        self._answer: str | None = None
        self._task = self._found() or self._begin()

    def look(self) -> str | None:
        """The MD5 in hex, once it is there. Asks the pool every few seconds, however often it is called.

        Raises:
            FerryError: ``xapi.read_back_failed`` when the pool failed at it several times, or what it says.
        """
        now = time.monotonic()
        if self._answer is None and now >= self._next:
            self._next, self._wait = now + self._wait, min(LOOK_SECONDS, self._wait * 1.5)
            try:
                self._answer = self._ask()
            except FerryError as error:
                if error.code not in _TRANSIENT:
                    raise
        return self._answer

    def close(self) -> None:
        """Forget a task that is over; one that goes on is found again, or cleared in the end."""
        try:
            record = tasks.record_of(self._api, self._task)
        except FerryError:
            return
        if record is not None and record["status"] not in tasks.UNENDED:
            tasks.destroy(self._api, self._task)

    def _found(self) -> str | None:
        found: str | None = None
        for ref, record in tasks.ours(self._api, self._errand.migration).items():
            if record["other_config"].get(TASK_CHECKSUM) != self._vdi:
                continue
            if record["other_config"].get(TASK_ASKER) == self._asker and record["status"] in ("pending", "success"):
                found = ref
            elif record["status"] not in tasks.UNENDED:
                tasks.destroy(self._api, ref)
        return found

    def _begin(self) -> str:
        self._tries += 1
        task: str = self._api.call("Async.VDI.checksum", vdi_ref(self._api, self._vdi))
        marks = {
            OwnerKey.MIGRATION.value: self._errand.migration,
            OwnerKey.WORKFLOW.value: self._errand.workflow,
            TASK_CHECKSUM: self._vdi,
            TASK_ASKER: self._asker,
        }
        self._api.call("task.set_other_config", task, marks)
        return task

    def _ask(self) -> str | None:
        record = tasks.record_of(self._api, self._task)
        if record is not None and record["status"] == "pending":
            self._keep(float(record["progress"]))
            return None
        if record is not None and record["status"] == "success":
            found = _MD5.search(record["result"])
            if found:
                return found.group()
        self._again(record)
        return None

    def _keep(self, progress: float) -> None:
        """A task of more than 24 h that shows no progress is taken away (xapi.md §3.10); this one shows none itself."""
        try:
            self._api.call("task.set_progress", self._task, progress + (1.0 - progress) / 10_000)
        except FerryError:
            return  # it is none of the result

    def _again(self, record: Record | None) -> None:
        error = XapiFailure(f"{self._errand.vm}: VDI.checksum", record["error_info"]) if record is not None else None
        tasks.destroy(self._api, self._task)
        if error is not None and error.code not in ("xapi.busy", "xapi.unreachable", "xapi.failure"):
            raise error
        if self._tries >= TRIES:
            told = error.message if error is not None else "its task was lost"
            raise FerryError("xapi.read_back_failed", f"{self._errand.vm}: VDI.checksum failed several times: {told}")
        self._task = self._begin()


def unended(api: Connection, migration: str) -> bool:
    """Whether the pool still computes one for a migration."""
    return any(
        TASK_CHECKSUM in record["other_config"] and record["status"] in tasks.UNENDED
        for record in tasks.ours(api, migration).values()
    )
