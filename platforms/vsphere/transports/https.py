"""`/folder`: ranged reads of a frozen file over several keep-alive connections (vsphere.md §1a, dataplane.md §2b)."""

import contextlib
import http.client
import re
import ssl
import threading
import time
from urllib.parse import quote

from contracts.errors import FerryError
from platforms.vsphere.session import Session

CONNECTIONS = 4
TRIES = 5
TIMEOUT = 60.0
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class FolderFile:
    """One file of a datastore. ``read_into`` may be called from several threads at once."""

    def __init__(self, session: Session, path: str, datacenter: str) -> None:
        store, _, inside = path.partition("] ")
        self._session, self._path = session, path
        self._target = (
            f"/folder/{quote(inside)}?dcPath={quote(datacenter, safe='')}&dsName={quote(store.lstrip('['), safe='')}"
        )
        self._context: ssl.SSLContext = session.context()
        self._idle: list[http.client.HTTPSConnection] = []
        self._lock = threading.Lock()
        self._cookie = session.cookie()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer from that offset; tried again a few times, since hosts answer 503 in bursts.

        Raises:
            FerryError: ``vsphere.read_failed``.
        """
        for attempt in range(TRIES):
            try:
                return self._read(offset, buffer)
            except _Refused as refused:
                if refused.status == 401:
                    self._session.renew()
                    self._cookie = self._session.cookie()
                elif refused.status in (404, 416) or attempt == TRIES - 1:
                    raise self._failed(f"HTTP {refused.status}") from None
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise FerryError("vsphere.certificate", f"{self._path}: {error.verify_message}") from None
                if attempt == TRIES - 1:
                    raise self._failed(type(error).__name__) from None
            time.sleep(0.1 * 2**attempt)
        raise self._failed("tried too often")

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()

    def _read(self, offset: int, buffer: memoryview) -> None:
        connection = self._take()
        last = offset + len(buffer) - 1
        try:
            connection.request("GET", self._target, headers={"Cookie": self._cookie, "Range": f"bytes={offset}-{last}"})
            answer = connection.getresponse()
            if answer.status != 206:
                connection.close()  # a 200 would be the whole file: the range was ignored
                raise _Refused(answer.status)
            told = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if told is None or (int(told[1]), int(told[2])) != (offset, last):
                connection.close()
                raise http.client.HTTPException("another range than the one asked for")
            at = 0
            while at < len(buffer):
                count = answer.readinto(buffer[at:])
                if not count:
                    raise http.client.IncompleteRead(b"")
                at += count
            answer.read()
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if len(self._idle) < CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _take(self) -> http.client.HTTPSConnection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        host, port = self._session.address
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=self._context)

    def _failed(self, told: str) -> FerryError:
        return FerryError("vsphere.read_failed", f"{self._path}: {told}")


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def probe(session: Session, path: str, datacenter: str, capacity: int) -> str:
    """Whether `/folder` serves a frozen file now: its first and its last sector. Why not, or empty.

    Evidence on running VMs of VMFS conflicts (vsphere.md §1a), so it is tried, each time.
    """
    file = FolderFile(session, path, datacenter)
    sector = memoryview(bytearray(min(512, capacity)))
    with contextlib.closing(file):
        try:
            file.read_into(0, sector)
            file.read_into(capacity - len(sector), sector)
        except FerryError as error:
            if error.code != "vsphere.read_failed":
                raise
            return f"/folder refuses {error.message}"
    return ""
