"""An NBD export, read from any thread: structured replies, block status, TLS, many requests in flight."""

import contextlib
import threading
from dataclasses import dataclass

from disks.asking import Asked
from disks.extents import Extent
from disks.nbd_connection import NbdAddress, NbdConnection, NbdError, Waiting
from disks.waiting import Waited

CONNECTIONS = 3
"""Asked ahead, one for each: nbdkit answers several at once; qemu-nbd's one thread gains nothing by more."""
PATIENCE = 1.0
"""Seconds for answers that nobody wants any more."""
ALLOCATION = "base:allocation"
ZERO = 2
"""Of the flags in ``base:allocation``: it reads as zeros."""


@dataclass(frozen=True)
class _Read:
    """Requests that were sent, and where their answers come."""

    connection: NbdConnection
    offset: int
    length: int
    waiting: Waiting


class NbdDisk:
    """One export, read from any thread.

    Raises:
        NbdError: from the constructor, ``read_into`` and ``extents``.
    """

    asks_ahead = CONNECTIONS

    def __init__(self, address: NbdAddress, context: str = ALLOCATION) -> None:
        self._address, self._context = address, context
        self._lock = threading.Lock()
        self._idle: list[NbdConnection] = []
        self._waited = Waited()
        self._asked = Asked[_Read](self._pass_over, CONNECTIONS)
        first = NbdConnection(address, context)
        self.size, self.tells_extents = first.size, first.context_id is not None
        self._idle.append(first)

    def ask(self, offset: int, length: int) -> None:
        """Send the requests; what goes wrong with them shows when they are read."""
        if not self._holds(offset, length):
            return
        try:
            connection = self._take()
        except NbdError:
            return
        try:
            self._asked.put(offset, length, self._sent(connection, offset, length))
        except OSError:
            connection.close()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer; a connection that broke is made anew once. Reading past the end is a ValueError."""
        if not self._holds(offset, len(buffer)):
            raise ValueError(f"{offset}+{len(buffer)} is past the end of {self.size} bytes")
        for last in (False, True):
            asked = self._asked.take(offset, len(buffer))
            connection = asked.connection if asked is not None else self._take()
            try:
                with self._waited.on(connection.sock):
                    read = asked or self._sent(connection, offset, len(buffer))
                    connection.receive(offset, buffer, read.waiting)
            except (OSError, NbdError) as error:
                connection.close()
                meant = isinstance(error, NbdError) and error.meant
                if last or meant:
                    raise error if isinstance(error, NbdError) else NbdError(error.strerror or str(error)) from None
                continue
            self._give_back(connection)
            return

    def extents(self) -> list[Extent]:
        """What is not known to read as zeros, over the whole disk, sorted and disjoint."""
        return [extent for extent, flags in self.status() if not flags & ZERO]

    def status(self) -> list[tuple[Extent, int]]:
        """Runs and their flags in the context that was asked for; neighbours of the same flags are joined."""
        connection = self._take()
        try:
            found = connection.status()
        except (OSError, NbdError) as error:
            connection.close()
            raise error if isinstance(error, NbdError) else NbdError(error.strerror or str(error)) from None
        self._give_back(connection)
        return found

    def hang_up(self) -> None:
        """End whatever waits, from another thread; nothing is read any more."""
        self._waited.hang_up()

    def close(self) -> None:
        """Hang up. Closing twice does nothing."""
        self._asked.drop()
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()

    @staticmethod
    def _sent(connection: NbdConnection, offset: int, length: int) -> _Read:
        return _Read(connection, offset, length, connection.send_reads(offset, length))

    def _pass_over(self, read: _Read) -> None:
        """Hang up when the answers have come: nbdkit (1.32.5) aborts, for all, when a client hangs up on them."""
        with contextlib.suppress(OSError, NbdError):
            if not self._waited.over.is_set():
                read.connection.sock.settimeout(PATIENCE)
                read.connection.receive(read.offset, memoryview(bytearray(read.length)), read.waiting)
        read.connection.close()

    def _holds(self, offset: int, length: int) -> bool:
        return 0 <= offset <= offset + length <= self.size

    def _take(self) -> "NbdConnection":
        if self._waited.over.is_set():
            raise NbdError("it was hung up")
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            return NbdConnection(self._address, self._context)
        except OSError as error:
            raise NbdError(error.strerror or str(error)) from None

    def _give_back(self, connection: "NbdConnection") -> None:
        with self._lock:
            self._idle.append(connection)
