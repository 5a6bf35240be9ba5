"""What the copying code asks of a source and a target disk, whatever platform they are on."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol, runtime_checkable

from contracts.errors import FerryError
from disks.extents import Extent


@runtime_checkable
class DiskSource(Protocol):
    """A disk whose content stands still while it is open (a frozen base, a file).

    All methods may be called from several threads at once.
    """

    @property
    def capacity(self) -> int:
        """Size in bytes as the guest sees it; a multiple of 512."""
        ...

    def allocated(self) -> list[Extent]:
        """Extents that may hold data, sorted and disjoint; all else reads as zeros.

        The whole disk as one extent where the platform cannot tell.
        """
        ...

    def changed_since(self, landmark: str) -> list[Extent]:
        """Extents that may differ from the disk's state at that landmark, sorted and disjoint.

        Raises:
            FerryError: ``vsphere.change_tracking_unusable``, with the reason: a full pass is due.
        """
        ...

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer from that offset. Reading past ``capacity`` is a ValueError.

        Raises:
            FerryError: ``vsphere.read_failed`` and its kin.
        """
        ...

    @property
    def asks_ahead(self) -> int:
        """How many reads are worth asking for before the first of them is read; 0 or 1 for none."""
        ...

    def ask(self, offset: int, length: int) -> None:
        """These bytes will be read soon, after all that was asked for before: a hint, which never raises.

        What is read is what :meth:`read_into` is called for, in whatever order.
        """
        ...

    @property
    def transport(self) -> str:
        """What its bytes come by now."""
        ...

    @property
    def reason(self) -> str:
        """Why that transport, and what became of better ones."""
        ...

    def step_down(self, error: FerryError) -> bool:
        """A read failed for good: go over to the next transport. False where there is none, or it is no use."""
        ...

    def hang_up(self) -> None:
        """From another thread: a read that waits for its answer fails at once, as do all to come. Never raises.

        What cannot be hung up (a file of a mount that hangs) does nothing.
        """
        ...

    def close(self) -> None:
        """Give back connections. Closing twice does nothing."""
        ...


class NotOffered(FerryError):
    """The platform does not serve a disk in this way; the message says why. Another way may do."""


class TaskOutcome(StrEnum):
    """What became of a segment's task."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    GONE = "gone"
    """The record is lost: the outcome is unknown."""


class SegmentWriter(Protocol):
    """One PUT: records at any offset, ended by the terminator (SAFETY 1-4). Used by one thread."""

    @property
    def task(self) -> str:
        """The task's lasting name (uuid), to be noted in the journal before anything is sent."""
        ...

    def write(self, offset: int, data: memoryview | bytes) -> None:
        """Send one record. Offset and length are multiples of 4096, but at the disk's end.

        Raises:
            FerryError: ``xapi.segment_failed``: all that was announced is now undefined.
        """
        ...

    def terminate(self) -> None:
        """Send all 12 bytes of the terminator; raises if not all were sent."""
        ...

    def confirm(self, patience: float) -> None:
        """Wait until the task is a success and the dom0 VBD is gone.

        Raises:
            FerryError: ``xapi.segment_failed`` when the task failed, was cancelled or is lost.
        """
        ...

    def abandon(self) -> None:
        """Reset the connection, so that the receiver writes no stale piece. Never raises."""
        ...


class DiskTarget(Protocol):
    """A VDI that segments are sent to."""

    @property
    def virtual_size(self) -> int:
        """Bytes, as the SR rounded it."""
        ...

    def take_over(self, token: str, patience: float) -> None:
        """Become the one writer (SAFETY 13): put the token on the VDI, then wait until no older task of
        this VDI is pending and no dom0 VBD holds it; past the patience (seconds) unplug that VBD.

        Raises:
            FerryError: ``xapi.vdi_held`` when that did not help.
        """
        ...

    def check_token(self, token: str) -> None:
        """Raises ``xapi.superseded`` when another writer's token is on the VDI."""
        ...

    @property
    def most_per_segment(self) -> int | None:
        """Bytes that one segment may carry; None for as many as one likes. May become less with :meth:`begin`."""
        ...

    def begin(self, token: str, label: str) -> SegmentWriter:
        """Make the task (named by the label), and open the PUT as far as its 200.

        Raises:
            FerryError: classified by the tables of the reference.
        """
        ...

    def outcome(self, task: str) -> TaskOutcome:
        """What became of a task that an earlier attempt noted in the journal."""
        ...

    def forget(self, task: str) -> None:
        """Destroy a finished task's record. Never raises for one that is gone."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


class RangeReader(Protocol):
    """A disk that is read by offset, in order, with hints of what comes next."""

    @property
    def asks_ahead(self) -> int:
        """As :attr:`DiskSource.asks_ahead`."""
        ...

    def ask(self, offset: int, length: int) -> None:
        """As :meth:`DiskSource.ask`."""
        ...

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer from that offset."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


class TargetRanges(RangeReader, Protocol):
    """A target disk as it is stored, by offset; asked through the target's own API."""

    @property
    def virtual_size(self) -> int:
        """Bytes."""
        ...


class Checksum(Protocol):
    """The MD5 of a whole disk, which the platform computes by itself, zeros up to its virtual size too."""

    @property
    def virtual_size(self) -> int:
        """Bytes."""
        ...

    def look(self) -> str | None:
        """It, in hex, once it is there. To be called every few seconds, which keeps it going; never waits."""
        ...

    def close(self) -> None:
        """Wait for it no longer."""
        ...


class ReadBack(Protocol):
    """A target disk as it is stored, read through the target's own API and never from our records."""

    @property
    def virtual_size(self) -> int:
        """Bytes."""
        ...

    def blocks(self) -> Iterator[tuple[int, memoryview]]:
        """Offset and bytes of every piece that may hold data, in any order, each byte once; all else is zeros.

        A memoryview is valid until the next one is asked for. Ends normally only when the whole stream was
        received and its task succeeded.
        """
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
