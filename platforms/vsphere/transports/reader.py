"""What every transport offers: the bytes of one frozen disk."""

from typing import Protocol

from contracts.errors import FerryError


class Reader(Protocol):
    """One disk, opened by one transport."""

    @property
    def reads_at_once(self) -> int:
        """How many reads may be under way together; 1 for a stream, whose reads must ascend."""
        ...

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer from that offset. Raises ``vsphere.read_failed``, as :class:`NotServed` where it is meant."""
        ...

    def close(self) -> None:
        """Give back connections. Never raises; closing twice does nothing."""
        ...


class NotServed(FerryError):
    """The transport means it: a file that is not there, locked, of another size, or not to be had as it must be."""

    def __init__(self, message: str) -> None:
        super().__init__("vsphere.read_failed", message)
