"""`/folder`: ranged reads of a frozen file over several keep-alive connections (vsphere.md §1a, dataplane.md §2b)."""

import re
import ssl
import threading
from urllib.parse import quote

from contracts.errors import FerryError
from disks.asking import Asked
from disks.waiting import Waited
from platforms.http_head import read_head
from platforms.vsphere.session import Session
from platforms.vsphere.transports.line import Line
from platforms.vsphere.transports.reader import NotServed

CONNECTIONS = 4
"""Kept open per disk: a host throttles each connection."""
TRIES = 6
TRIES_WHEN_LOCKED = 3
PAUSE = 0.2
"""Seconds before the second try, doubled each time: six seconds in all, then the activity's own retries follow."""
TIMEOUT = 60.0
_PASSING = frozenset({401, 408, 429, 500, 502, 503, 504})
"""Seen under bursts (vsphere.md §1a). All others are meant."""
_LOCKED = 500
_MEANING = {
    404: "it is not there, or the account lacks Datastore.Browse or Datastore.FileManagement",
    _LOCKED: "a host holds its lock",
}
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class FolderFile:
    """One file of a datastore: a :class:`platforms.vsphere.transports.reader.Reader`."""

    asks_ahead = CONNECTIONS

    def __init__(self, session: Session, path: str, datacenter: str, size: int) -> None:
        self._session, self._path, self._size = session, path, size
        self._target = target_of(path, datacenter)
        self._context = session.context()
        self._idle: list[Line] = []
        self._lock = threading.Lock()
        self._waited = Waited()
        self._asked = Asked[Line](lambda connection: connection.close(), CONNECTIONS)

    def ask(self, offset: int, length: int) -> None:
        """Send the request; what goes wrong with it shows when it is read."""
        try:
            cookie = self._session.cookie()
        except FerryError:
            return
        connection = None
        try:
            connection = self._take()
            self._request(connection, offset, length, cookie)
        except (OSError, ValueError):
            if connection is not None:
                connection.close()
            return
        self._asked.put(offset, length, connection)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer from that offset; what may pass is tried again a few times.

        Raises:
            FerryError: ``vsphere.read_failed``, as :class:`NotServed` where trying again is no use.
        """
        renewed = False
        for attempt in range(1, TRIES + 1):
            cookie = self._session.cookie()
            try:
                return self._read(offset, buffer, cookie)
            except _Refused as refused:
                told = f"HTTP {refused.status}"
                if refused.status in _MEANING:
                    told = f"{told} ({_MEANING[refused.status]})"
                if refused.status not in _PASSING or (refused.status == _LOCKED and attempt >= TRIES_WHEN_LOCKED):
                    raise self._not_served(told) from None
                if refused.status == 401 and not renewed:
                    self._session.renew(cookie)
                    renewed = True
                    continue
            except ssl.SSLCertVerificationError as error:
                raise FerryError("vsphere.certificate", f"{self._path}: {error.verify_message}") from None
            except (OSError, ValueError) as error:
                told = type(error).__name__
            if self._waited.over.is_set():
                raise FerryError("vsphere.read_failed", f"{self._path}: it was hung up")
            if attempt < TRIES:
                self._waited.over.wait(PAUSE * 2 ** (attempt - 1))
        raise FerryError("vsphere.read_failed", f"{self._path}: {told}, {TRIES} times")

    def hang_up(self) -> None:
        """End whatever waits."""
        self._waited.hang_up()

    def close(self) -> None:
        """Close all connections."""
        self._asked.drop()
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()

    def _read(self, offset: int, buffer: memoryview, cookie: str) -> None:
        connection = self._asked.take(offset, len(buffer))
        try:
            if connection is None:
                connection = self._take()
                self._request(connection, offset, len(buffer), cookie)
            with self._waited.on(connection.raw):
                self._answer(connection, offset, buffer)
        except BaseException:
            if connection is not None:
                connection.close()  # what is left of an answer must not be taken for the next one's beginning
            raise
        with self._lock:
            if connection.stays and len(self._idle) < CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _request(self, connection: Line, offset: int, length: int, cookie: str) -> None:
        span = f"bytes={offset}-{offset + length - 1}"
        head = f"GET {self._target} HTTP/1.1\r\nHost: {connection.host}\r\nCookie: {cookie}\r\nRange: {span}\r\n\r\n"
        connection.sock.sendall(head.encode("ascii"))

    def _answer(self, connection: Line, offset: int, buffer: memoryview) -> None:
        last = offset + len(buffer) - 1
        status, headers = read_head(connection.reader)
        if status == 200:
            raise self._not_served("a range was asked for, and all was sent")
        if status != 206:
            raise _Refused(status)
        told = _RANGE.fullmatch(headers.get("content-range", ""))
        if told is None or (int(told[1]), int(told[2])) != (offset, last):
            raise self._not_served("another range was sent than was asked for")
        if told[3] != "*" and int(told[3]) != self._size:
            raise self._not_served(f"it has {told[3]} bytes, the disk has {self._size}")
        if headers.get("content-length") != str(len(buffer)):  # nor is it chunked
            raise self._not_served("its length is not that of the range")
        if connection.reader.readinto(buffer) != len(buffer):
            raise ConnectionError("the answer ends before its range does")
        connection.stays = headers.get("connection", "").lower() != "close"

    def _take(self) -> Line:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        host, port = self._session.address
        return Line(host, port, self._context, TIMEOUT)

    def _not_served(self, told: str) -> NotServed:
        return NotServed(f"{self._path}: {told}")


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def target_of(path: str, datacenter: str) -> str:
    """The URL's path for ``[datastore] folder/file``.

    Args:
        datacenter: its whole inventory path, ``Folder/DC``; names as vSphere tells them (a slash in one is ``%2f``).
    """
    store, _, inside = path.removeprefix("[").partition("] ")
    return f"/folder/{quote(inside)}?dcPath={quote(datacenter, safe='')}&dsName={quote(store, safe='')}"
