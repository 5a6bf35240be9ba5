"""A VDI read again through XAPI: a VHD stream of what is allocated, or all of it where VHD is too small."""

from collections.abc import Iterator

from contracts.errors import FerryError
from contracts.steps import VHD_MOST, Errand
from disks.protocols import NotOffered
from disks.vhd import BrokenVhd, VhdStream
from platforms.xapi import tasks
from platforms.xapi.addresses import backup_address
from platforms.xapi.connection import Connection, spoken
from platforms.xapi.exchange import Exchange, open_exchange
from platforms.xapi.faults import of_http, told
from platforms.xapi.lookup import vdi_ref
from platforms.xapi.marks import TASK_VDI

PIECE = 2 << 20
TASK_SECONDS = 300.0
FAILED = "xapi.read_back_failed"
_REFUSED = frozenset((400, 403, 404, 501))
"""Statuses by which a pool says that it does not serve this."""
_NEVER = frozenset(("INTERNAL_ERROR", "VDI_TOO_LARGE", "VDI_INCOMPATIBLE_TYPE", "NOT_IMPLEMENTED"))
"""With which the task of a difference ends that cannot be had: not VHD on both sides, an older pool."""


class VdiReadBack:
    """A :class:`disks.protocols.ReadBack`.

    Args:
        base: uuid of a snapshot: then only what is not as there is read, by a VHD and by nothing else.
    """

    def __init__(self, api: Connection, vdi: str, errand: Errand, *, base: str = "") -> None:
        self._api, self._vdi, self._errand, self._base = api, vdi, errand, base
        self._size = int(api.call("VDI.get_virtual_size", vdi_ref(api, vdi)))
        self._label = f"Ferry: {errand.vm} / {api.call('VDI.get_name_label', vdi_ref(api, vdi))} / read back"
        self._exchange: Exchange | None = None
        self._task: tasks.Task | None = None

    @property
    def virtual_size(self) -> int:
        """Bytes."""
        return self._size

    def blocks(self) -> Iterator[tuple[int, memoryview]]:
        """Offset and bytes of what is allocated, or differs; ends normally only when the task succeeded too.

        Raises:
            NotOffered: the pool serves no such export of this VDI.
        """
        if self._base:
            yield from self._stream("vhd")
            return
        begun = False
        if self._size <= VHD_MOST:
            try:
                for piece in self._stream("vhd"):
                    begun = True
                    yield piece
                return
            except _NoVhd:
                if begun:
                    raise
        yield from self._stream("raw")

    def close(self) -> None:
        """Hang up, in the middle if need be: the export's task then fails, and goes."""
        if self._exchange is not None:
            self._exchange.reset()
            self._exchange = None
        if self._task is not None:
            tasks.destroy(self._api, self._task.ref)
            self._task = None

    def _stream(self, form: str) -> Iterator[tuple[int, memoryview]]:
        exchange, task = self._open(form)
        try:
            teller = tasks.ProgressTeller(self._api, task.ref, self._size)
            pieces = self._vhd(exchange) if form == "vhd" else self._raw(exchange)
            for offset, piece in pieces:
                yield offset, piece
                teller.at(offset + len(piece))
            record = tasks.ended(self._api, task.ref, TASK_SECONDS)
            if record is None or record["status"] != "success":
                raise self._failed(told(record["error_info"]) if record else "its task is lost")
        except BrokenVhd as error:
            raise self._broken(task, str(error)) from None
        except OSError as error:
            raise self._broken(task, spoken(error)) from None
        finally:
            self.close()

    def _open(self, form: str) -> tuple[Exchange, tasks.Task]:
        tasks.clear_reads(self._api, self._errand.migration, self._vdi)
        for last in (False, True):
            session = self._api.session()
            self._task = tasks.make_task(self._api, self._label, form, self._errand, {TASK_VDI: self._vdi})
            query = {"vdi": self._vdi, "format": form, "task_id": self._task.ref}
            if self._base:
                query["base"] = self._base
            try:
                at = backup_address(self._api, vdi_ref(self._api, self._vdi))
                self._exchange = open_exchange(self._api, "GET", "/export_raw_vdi", query, at=at)
                if self._exchange.status == 200:
                    return self._exchange, self._task
                status = self._exchange.status
                if status == 401 and not last:
                    self._api.renew(session)
                elif status in _REFUSED:
                    kind = _NoVhd if form == "vhd" and not self._base else NotOffered
                    raise kind(FAILED, f"HTTP {status} for {self._what(form)}")
                else:
                    raise of_http(self._label, status)
            except FerryError:
                tasks.discard(self._api, self._task.ref)
                self.close()
                raise
            tasks.discard(self._api, self._task.ref)
            self.close()
        raise AssertionError("unreachable")

    def _vhd(self, exchange: Exchange) -> Iterator[tuple[int, memoryview]]:
        stream = VhdStream(exchange.reader.readinto, difference=bool(self._base))
        if stream.capacity != self._size:
            raise BrokenVhd(f"it is of {stream.capacity} bytes, the VDI of {self._size}")
        yield from stream.blocks()

    def _raw(self, exchange: Exchange) -> Iterator[tuple[int, memoryview]]:
        """All bytes; the text of an error after them, or an end before, is a failure (xapi.md §4.1)."""
        buffer = bytearray(PIECE)
        at = 0
        while at < self._size:
            length = min(PIECE, self._size - at)
            with memoryview(buffer) as whole, whole[:length] as piece:
                if exchange.reader.readinto(piece) < length:
                    raise BrokenVhd(f"it ends near byte {at} of {self._size}")
                yield at, piece
            at += length
        if exchange.reader.read(1):
            raise BrokenVhd("there is more than the VDI holds")

    def _broken(self, task: tasks.Task, reason: str) -> FerryError:
        """The task says why, if anybody does; a VDI that is too large for VHD is read raw."""
        try:
            record = tasks.ended(self._api, task.ref, 10.0)
        except FerryError:
            record = None
        if record is not None and record["error_info"]:
            if self._base and record["error_info"][0] in _NEVER:
                return NotOffered(FAILED, f"{told(record['error_info'])} for {self._what('vhd')}")
            kind = _NoVhd if record["error_info"][0] == "VDI_TOO_LARGE" else FerryError
            return kind(FAILED, f"{self._label}: {told(record['error_info'])} ({reason})")
        return self._failed(reason)

    def _what(self, form: str) -> str:
        return f"export_raw_vdi of format {form}{' against a base' if self._base else ''}"

    def _failed(self, reason: str) -> FerryError:
        return FerryError(FAILED, f"{self._label}: {reason}")


class _NoVhd(FerryError):
    """This VDI is not served as VHD."""
