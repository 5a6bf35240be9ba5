"""What every transport offers: the bytes of one frozen disk."""

from typing import Protocol

from contracts.errors import FerryError


class Reader(Protocol):
    """One disk, opened by one transport."""

    @property
    def asks_ahead(self) -> int:
        """How many reads are worth asking for before the first of them is read; 0 for none."""
        ...

    def ask(self, offset: int, length: int) -> None:
        """These bytes will be read soon, in the order of asking. A hint; never raises."""
        ...

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer from that offset. Raises ``vsphere.read_failed``, as :class:`NotServed` where it is meant."""
        ...

    def hang_up(self) -> None:
        """See :meth:`disks.protocols.DiskSource.hang_up`."""
        ...

    def close(self) -> None:
        """Give back connections. Never raises; closing twice does nothing."""
        ...


class NotServed(FerryError):
    """The transport means it: a file that is not there, locked, of another size, or not to be had as it must be."""

    def __init__(self, message: str) -> None:
        super().__init__("vsphere.read_failed", message)
