"""Our own XAPI tasks: the only word on how a transfer ended (xapi.md §1.6, §3.9)."""

import contextlib
import time
from dataclasses import dataclass

from contracts.errors import FerryError
from contracts.names import OwnerKey
from contracts.steps import Errand
from platforms.xapi.connection import Connection
from platforms.xapi.faults import XapiFailure
from platforms.xapi.lookup import GONE, Record
from platforms.xapi.marks import TASK_VDI, TASK_WRITER, belongs_to

UNENDED = ("pending", "cancelling")


@dataclass(frozen=True)
class Task:
    """``uuid`` lasts and is noted in journals; ``ref`` is asked with."""

    ref: str
    uuid: str


def make_task(api: Connection, label: str, description: str, errand: Errand, marks: dict[str, str]) -> Task:
    """A task that shows in everybody's task view, under a name that a person understands.

    Its description names the migration too: a worker that dies before it has put the marks on leaves a task that
    would be pending for a day, and whose owner nobody could tell.
    """
    ref: str = api.call("task.create", label, f"{description}{_of(errand.migration)}")
    try:
        marks = {OwnerKey.MIGRATION.value: errand.migration, OwnerKey.WORKFLOW.value: errand.workflow, **marks}
        api.call("task.set_other_config", ref, marks)
        return Task(ref, api.call("task.get_uuid", ref))
    except FerryError:
        discard(api, ref)
        raise


def record_of(api: Connection, ref: str) -> Record | None:
    """None when the record is lost."""
    try:
        record: Record = api.call("task.get_record", ref)
    except XapiFailure as failure:
        if failure.wire in GONE:
            return None
        raise
    return record


def ref_of(api: Connection, uuid: str) -> str | None:
    """None when the record is lost."""
    try:
        return str(api.call("task.get_by_uuid", uuid))
    except XapiFailure as failure:
        if failure.wire in GONE:
            return None
        raise


def unended_of(api: Connection, vdi: str) -> dict[str, Record]:
    """Ref to record of tasks of ours that write or read a VDI (uuid), or are about to."""
    return {
        ref: record
        for ref, record in api.call("task.get_all_records").items()
        if record["other_config"].get(TASK_VDI) == vdi and record["status"] in UNENDED
    }


def ours(api: Connection, migration: str) -> dict[str, Record]:
    """Ref to record of all tasks of a migration."""
    return {
        ref: each
        for ref, each in api.call("task.get_all_records").items()
        if belongs_to(each, migration) or each["name_description"].endswith(_of(migration))
    }


def _of(migration: str) -> str:
    return f" (migration {migration})"


def migration_told(record: Record) -> str:
    """Of a task whose maker died before it had put the marks on; empty for other people's."""
    head, _, tail = record["name_description"].rpartition(" (migration ")
    return tail[:-1] if head and tail.endswith(")") and record["name_label"].startswith("Ferry: ") else ""


def clear(api: Connection, migration: str) -> None:
    """Leave no task of a migration behind: those of attempts that died are nobody else's to clear."""
    for ref, record in ours(api, migration).items():
        if record["status"] in UNENDED:
            discard(api, ref)
        else:
            destroy(api, ref)


def clear_reads(api: Connection, migration: str, vdi: str) -> None:
    """Destroy what attempts to read a VDI (uuid) have left that died: their tasks are over, and nobody else's."""
    for ref, record in ours(api, migration).items():
        marks = record["other_config"]
        if marks.get(TASK_VDI) == vdi and TASK_WRITER not in marks and record["status"] not in UNENDED:
            destroy(api, ref)


def ended(api: Connection, ref: str, patience: float) -> Record | None:
    """Wait until a task is over; the record as it is then, or None when it is lost.

    A pool that does not answer for a moment is waited for as well.

    Raises:
        FerryError: ``xapi.busy`` when it is not over in time; what the pool says past that time.
    """
    deadline, wait = time.monotonic() + patience, 0.05
    while True:
        try:
            record = record_of(api, ref)
            if record is None or record["status"] not in UNENDED:
                return record
            late: FerryError = FerryError("xapi.busy", f"{record['name_label']}: pending after {patience:.0f} s")
        except FerryError as error:
            if error.code not in ("xapi.unreachable", "xapi.busy"):
                raise
            late = error
        if time.monotonic() + wait > deadline:
            raise late
        time.sleep(wait)
        wait = min(1.0, wait * 1.5)


def destroy(api: Connection, ref: str) -> None:
    """Destroy the record; one that is pending goes when it ends (xapi.md §3.9). Never raises."""
    with contextlib.suppress(FerryError):
        api.call("task.destroy", ref)


def discard(api: Connection, ref: str) -> None:
    """End a task that nobody works on, and destroy it: else it would be pending for a day. Never raises."""
    with contextlib.suppress(FerryError):
        api.call("task.set_status", ref, "cancelled")
    destroy(api, ref)


class ProgressTeller:
    """Shows how far a transfer is, by whole percents and not too often; what fails here fails nothing else."""

    SECONDS = 5.0

    def __init__(self, api: Connection, ref: str, size: int) -> None:
        self._api, self._ref, self._size = api, ref, size
        self._percent = 0
        self._next = time.monotonic() + self.SECONDS

    def at(self, position: int) -> None:
        """The transfer has come to that byte of the disk."""
        percent = min(99, position * 100 // self._size)
        now = time.monotonic()
        if percent <= self._percent or now < self._next:
            return
        self._percent, self._next = percent, now + self.SECONDS
        try:
            self._api.call("task.set_progress", self._ref, percent / 100, patience=5.0)
        except FerryError:
            self._next = float("inf")
