"""A VDI that segments are sent to, by one writer at a time (SAFETY 13)."""

import time

from contracts.errors import FerryError
from contracts.names import WRITER_KEY
from contracts.steps import Errand, ShellDisk
from disks.protocols import TaskOutcome
from platforms.xapi import dom0, tasks
from platforms.xapi.addresses import backup_address
from platforms.xapi.connection import Connection
from platforms.xapi.exchange import Exchange, open_exchange
from platforms.xapi.faults import XapiFailure, of_http, of_segment
from platforms.xapi.lookup import vdi_ref
from platforms.xapi.marks import TASK_DISK, TASK_RANGE, TASK_VDI, TASK_WRITER, WRITTEN_KEY, put
from platforms.xapi.segment import SegmentPut
from platforms.xapi.vhd_segment import MOST_GATHERED, VhdSegmentPut

EVICTION_SECONDS = 20.0
OUTCOMES = {"success": TaskOutcome.SUCCESS, "pending": TaskOutcome.PENDING, "cancelling": TaskOutcome.PENDING}


class VdiTarget:
    """A :class:`disks.protocols.DiskTarget`."""

    def __init__(self, api: Connection, errand: Errand, disk: ShellDisk) -> None:
        self._api = api
        self._errand = errand
        self._disk = disk
        self._address: str | None = None
        self._address_known = False
        self._chunked = True

    @property
    def virtual_size(self) -> int:
        """Bytes, as the SR rounded it."""
        return self._disk.virtual_size

    def take_over(self, token: str, patience: float) -> None:
        """Put the token on the VDI, and wait for older writers to end; past the patience, end them."""
        vdi = vdi_ref(self._api, self._disk.vdi)
        put(self._api, "VDI", vdi, WRITER_KEY, token)
        if self._is_free(vdi, patience):
            return
        self._evict(vdi)
        if not self._is_free(vdi, EVICTION_SECONDS):
            raise FerryError("xapi.vdi_held", f"{self._disk.slot}: dom0 still holds VDI {self._disk.vdi}")

    def _is_free(self, vdi: str, patience: float) -> bool:
        """Whether no task of ours is pending on it and dom0 does not hold it, at last."""
        deadline, wait = time.monotonic() + patience, 0.05
        while tasks.unended_of(self._api, self._disk.vdi) or dom0.holders(self._api, vdi):
            if time.monotonic() + wait > deadline:
                return False
            time.sleep(wait)
            wait = min(1.0, wait * 1.5)
        return True

    def _evict(self, vdi: str) -> None:
        """Take the VDI from whoever holds it: a worker that is stopped in mid-PUT, a VBD that a toolstack left.

        With force only from tasks of our own: a program of somebody else that has it open is not ours to break.
        """
        older = tasks.unended_of(self._api, self._disk.vdi)
        for vbd in dom0.holders(self._api, vdi):
            try:
                dom0.release(self._api, vbd, force=bool(older))
            except XapiFailure as failure:
                raise FerryError("xapi.vdi_held", f"{self._disk.slot}: {failure.message}") from None
        for ref in older:
            # No VBD is left, so nobody works on it: its PUT never came, or its device is gone.
            tasks.discard(self._api, ref)

    def check_token(self, token: str) -> None:
        """Raises ``xapi.superseded`` when the token on the VDI is another, or none (it is being replaced)."""
        found = self._other_config().get(WRITER_KEY)
        if found != token:
            raise FerryError("xapi.superseded", f"{self._disk.slot}: the writer is now {found or 'being replaced'}")

    def _other_config(self) -> dict[str, str]:
        config: dict[str, str] = self._api.call("VDI.get_other_config", vdi_ref(self._api, self._disk.vdi))
        return config

    @property
    def most_per_segment(self) -> int | None:
        """Bytes; None for as many as one likes."""
        return None if self._chunked else MOST_GATHERED

    def begin(self, token: str, label: str) -> SegmentPut:
        """Make the task, note on the VDI that it is written, and open the PUT as far as its 200.

        A host that refuses chunked raw is sent a VHD, whose PUT is opened at the segment's end.
        """
        if self._chunked:
            for _ in range(2):  # one 404 may be a host that is just losing its SR
                try:
                    task, exchange = self._dialled(token, label)
                except _NoChunked:
                    continue
                return SegmentPut(self._api, exchange, task, label, self._disk)
            self._chunked = False
            probe, exchange = self._dialled(token, label)  # a door that is shut is told now, not at the segment's end
            exchange.reset()
            tasks.discard(self._api, probe.ref)
        self.check_token(token)
        task = self._task(token, label)
        return VhdSegmentPut(self._api, lambda: self._dialled(token, label, task)[1], task, label, self._disk)

    def _task(self, token: str, label: str) -> tasks.Task:
        task = tasks.make_task(self._api, label, f"writer {token}", self._errand, self._marks(token))
        try:
            # Before the first byte: a VDI that may hold data is never destroyed as empty (SAFETY 22).
            put(self._api, "VDI", vdi_ref(self._api, self._disk.vdi), WRITTEN_KEY, task.uuid)
        except FerryError:
            tasks.discard(self._api, task.ref)
            raise
        return task

    def _dialled(self, token: str, label: str, given: tasks.Task | None = None) -> tuple[tasks.Task, Exchange]:
        """A PUT that was answered with 200, and its task, which goes when there is no PUT."""
        for last in (False, True):
            self.check_token(token)
            session = self._api.session()
            task = given or self._task(token, label)
            try:
                exchange = self._open(task)
                if exchange.status != 200:
                    exchange.close()
                    raise self._refused(label, exchange, task)
            except FerryError as error:
                if given is None or last or not isinstance(error, _SessionEnded):
                    tasks.discard(self._api, task.ref)
                if isinstance(error, _SessionEnded) and not last:
                    self._api.renew(session)
                    continue
                raise
            break
        try:
            # Once more between the 200 and the first byte: a writer that slept since its first look stops here.
            self.check_token(token)
        except FerryError:
            exchange.reset()
            raise
        return task, exchange

    def _marks(self, token: str) -> dict[str, str]:
        return {
            TASK_VDI: self._disk.vdi,
            TASK_DISK: self._disk.disk_id,
            TASK_RANGE: f"0-{self._disk.virtual_size}",
            TASK_WRITER: token,
        }

    def _open(self, task: tasks.Task) -> Exchange:
        form = {"format": "raw", "chunked": "true"} if self._chunked else {"format": "vhd"}
        query = {"vdi": self._disk.vdi, **form, "task_id": task.ref}
        if not self._address_known:
            self._address = backup_address(self._api, vdi_ref(self._api, self._disk.vdi))
            self._address_known = True
        return open_exchange(self._api, "PUT", "/import_raw_vdi", query, at=self._address)

    def _refused(self, label: str, exchange: Exchange, task: tasks.Task) -> FerryError:
        if exchange.status == 401:
            return _SessionEnded("xapi.busy", f"{label}: the session has ended")
        if exchange.status == 404 and self._chunked:
            return _NoChunked("xapi.busy", f"{label}: HTTP 404 for chunked raw")
        record = tasks.record_of(self._api, task.ref)
        if record is not None and record["error_info"] and exchange.status != 404:
            return of_segment(label, record["error_info"])
        return of_http(label, exchange.status)

    def outcome(self, task: str) -> TaskOutcome:
        """What became of a task (uuid)."""
        ref = tasks.ref_of(self._api, task)
        record = tasks.record_of(self._api, ref) if ref is not None else None
        return OUTCOMES.get(record["status"], TaskOutcome.FAILURE) if record is not None else TaskOutcome.GONE

    def forget(self, task: str) -> None:
        """Destroy a finished task's record. Never raises for one that is gone."""
        ref = tasks.ref_of(self._api, task)
        if ref is not None:
            tasks.destroy(self._api, ref)

    def close(self) -> None:
        """Nothing is kept open between segments."""


class _SessionEnded(FerryError):
    """The next attempt logs in anew."""


class _NoChunked(FerryError):
    """This host takes no chunked raw, or not this VDI: a VHD will tell."""
