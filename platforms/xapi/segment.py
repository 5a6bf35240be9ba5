"""One PUT of records, as the receiver takes them (xapi.md §1.10): offset u64, length u32, little-endian, payload."""

import struct
import time

from contracts.errors import FerryError
from contracts.sizes import spoken_size
from contracts.steps import ShellDisk
from platforms.xapi import dom0, tasks
from platforms.xapi.connection import Connection, spoken
from platforms.xapi.exchange import Exchange
from platforms.xapi.faults import XapiFailure, of_segment
from platforms.xapi.lookup import vdi_ref

ALIGNMENT = 4096
"""A device of 4 KiB sectors refuses less (xapi-receive.md)."""
MOST = 2 << 20
"""Payload of one record: what the receiver handles at once."""
TERMINATOR = bytes(12)
NEXT_TO_NOTHING = 16 << 20
"""Bytes: an SR with less (or less than a thousandth) is full."""
_HEADER = struct.Struct("<QI")


class SegmentPut:
    """A :class:`disks.protocols.SegmentWriter`, on a connection that was answered with 200."""

    def __init__(
        self, api: Connection, exchange: Exchange | None, task: tasks.Task, label: str, disk: ShellDisk
    ) -> None:
        self._api = api
        self._exchange = exchange
        self._task = task
        self._label = label
        self._disk = disk
        self._sent = 0
        self._over = False
        self._teller = tasks.ProgressTeller(api, task.ref, disk.virtual_size)

    @property
    def task(self) -> str:
        """The task's uuid."""
        return self._task.uuid

    def write(self, offset: int, data: memoryview | bytes) -> None:
        """Send one piece, in records of at most 2 MiB.

        The disk's last piece may end anywhere: it is filled with zeros up to 4096, or to the VDI's own end. What
        lies past the disk's capacity reads as zeros anyway.
        """
        view = memoryview(data).cast("B")
        end = offset + len(view)
        padding = min(-end % ALIGNMENT, self._disk.virtual_size - end)
        ends_well = end % ALIGNMENT == 0 or end in (self._disk.capacity, self._disk.virtual_size)
        if self._over or offset < 0 or offset % ALIGNMENT or not ends_well or end > self._disk.virtual_size:
            raise FerryError("internal", f"{self._label}: no record can hold [{offset}, {end})")
        for at in range(0, len(view), MOST):  # nothing for no data: length 0 at offset 0 would be the terminator
            piece = view[at : at + MOST]
            tail = bytes(padding) if at + MOST >= len(view) else b""
            self._send(_HEADER.pack(offset + at, len(piece) + len(tail)))
            self._send(piece)
            self._send(tail)
            self._sent += len(piece)
        self._teller.at(end)

    def terminate(self) -> None:
        """Send all 12 bytes of the terminator."""
        self._send(TERMINATOR)
        self._over = True

    def confirm(self, patience: float) -> None:
        """Wait until the task is a success and dom0 lets go of the VDI. The record stays: a crash may ask for it."""
        if not self._over:
            raise FerryError("internal", f"{self._label}: confirmed before it was terminated")
        deadline = time.monotonic() + patience
        try:
            record = tasks.ended(self._api, self._task.ref, patience)
        except FerryError as error:
            raise FerryError("xapi.segment_failed", error.message) from None
        if self._exchange is not None:
            self._exchange.close()
        if record is None:
            raise FerryError("xapi.segment_failed", f"{self._label}: its task is lost, so nobody knows")
        if record["status"] != "success":
            raise self._blamed(of_segment(self._label, record["error_info"] or [f"the task was {record['status']}"]))
        self._wait_for_dom0(deadline)

    def _wait_for_dom0(self, deadline: float) -> None:
        """The detach precedes the success, but its failure is only logged (xapi.md §1.6)."""
        vdi = vdi_ref(self._api, self._disk.vdi)
        grace = min(deadline, time.monotonic() + 10.0)
        wait = 0.05
        while held := dom0.holders(self._api, vdi):
            if time.monotonic() > grace:
                try:
                    for vbd in held:
                        dom0.release(self._api, vbd, force=False)
                except XapiFailure as failure:
                    raise FerryError("xapi.vdi_held", f"{self._label}: {failure.message}") from None
                return
            time.sleep(wait)
            wait = min(1.0, wait * 1.5)

    def abandon(self) -> None:
        """Reset the connection. Never raises."""
        self._over = True
        if self._exchange is not None:
            self._exchange.reset()

    def _blamed(self, error: FerryError) -> FerryError:
        """A full SR shows as an I/O error of the segment (xapi-receive.md), which sending again does not cure."""
        if error.code != "xapi.segment_failed":
            return error
        try:
            sr = self._api.call("VDI.get_SR", vdi_ref(self._api, self._disk.vdi))
            self._api.call("SR.update", sr)
            record = self._api.call("SR.get_record", sr)
        except FerryError:
            return error
        free = int(record["physical_size"]) - int(record["physical_utilisation"])
        if free > max(NEXT_TO_NOTHING, int(record["physical_size"]) // 1000):
            return error
        return FerryError("xapi.sr_full", f"SR {record['name_label']} has {spoken_size(max(0, free))} left")

    def _send(self, data: bytes | bytearray | memoryview) -> None:
        if not data:
            return
        assert self._exchange is not None
        try:
            self._exchange.sock.sendall(data)
        except (OSError, ValueError) as error:
            self.abandon()
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> FerryError:
        """The task may know more than the socket."""
        try:
            record = tasks.record_of(self._api, self._task.ref)
        except FerryError:
            record = None
        if record is not None and record["error_info"]:
            return self._blamed(of_segment(self._label, record["error_info"]))
        told = f"{self._label}: the connection broke after {self._sent} bytes: {spoken(error)}"
        return FerryError("xapi.segment_failed", told)
