"""A disk of any datastore as a stream-optimised VMDK, inflated on the fly: vSAN, vVol, locked VMFS (vsphere.md §1b).

No ranges and no length: what lies before the wanted bytes is received and passed over, and a stream that broke begins
anew. It is believed only when its end was seen and the host's manifest agrees.
"""

import hashlib
import http.client
import socket
import ssl
import threading
from typing import cast
from urllib.parse import urlsplit

from contracts.errors import FerryError
from disks.vmdk_stream import BrokenVmdk, VmdkStream
from disks.waiting import Waited
from platforms.vsphere.located import Located
from platforms.vsphere.session import Session
from platforms.vsphere.transports.lease import Lease, Leases
from platforms.vsphere.transports.line import Line
from platforms.vsphere.transports.reader import NotServed

TRIES = 4
"""Streams that break without having come any further than the one before."""
PAUSE = 1.0
TIMEOUT = 120.0


class NfcReader:
    """One disk of an export: a :class:`platforms.vsphere.transports.reader.Reader` whose reads ascend."""

    asks_ahead = 0  # it comes in its own order

    def __init__(
        self, session: Session, leases: Leases, vm: Located, snapshot: str | None, slot: str, capacity: int
    ) -> None:
        self._session, self._leases, self._vm, self._snapshot = session, leases, vm, snapshot
        self._slot, self._capacity = slot, capacity
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._stream: _Stream | None = None
        self._whole = False
        self._waited = Waited()
        self._take_lease()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer; behind what was read already the stream begins anew."""
        with self._lock:
            failures, furthest = 0, 0
            while True:
                try:
                    return self._read(offset, buffer)
                except (BrokenVmdk, OSError, http.client.HTTPException) as error:
                    told = str(error) if isinstance(error, BrokenVmdk) else type(error).__name__
                    came = self._stream.received if self._stream is not None else 0
                    failures = failures + 1 if came <= furthest else 1
                    furthest = max(furthest, came)
                self._end_stream()
                if self._waited.over.is_set():
                    raise FerryError("vsphere.read_failed", f"{self._slot}: it was hung up")
                if failures >= TRIES:
                    raise NotServed(
                        f"{self._slot}: the stream broke {TRIES} times near byte {furthest}: {told}"
                    ) from None
                self._waited.over.wait(PAUSE * failures)

    def ask(self, offset: int, length: int) -> None:
        """Nothing to ask for: the stream comes anyway."""

    def hang_up(self) -> None:
        """End whatever waits."""
        self._waited.hang_up()

    def close(self) -> None:
        """Hang up; the lease goes with its last reader."""
        with self._lock:
            self._end_stream()
            if self._lease is not None:
                self._leases.give_back(self._lease, complete=self._whole)
                self._lease = None

    def _read(self, offset: int, buffer: memoryview) -> None:
        if self._stream is None or offset < self._stream.position:
            self._end_stream()
            self._stream = self._opened()
        stream = self._stream
        with self._waited.on(stream.line.raw):
            stream.vmdk.read_into(offset, buffer)
        stream.position = offset + len(buffer)
        if self._lease is not None:
            self._lease.percent = max(self._lease.percent, min(99, stream.position * 100 // self._capacity))
        if stream.vmdk.ended and not self._whole:
            self._check(stream)
            self._whole = True

    def _take_lease(self) -> Lease:
        if self._lease is not None and self._lease.lost:
            self._leases.give_back(self._lease, complete=False)
            self._lease = None
        if self._lease is None:
            lease = self._leases.take(self._vm, self._snapshot)
            if self._slot not in lease.urls:
                self._leases.give_back(lease, complete=False)  # nobody else would: it is renewed until it is ended
                raise NotServed(f"the export of {self._vm.name} has no disk {self._slot}")
            self._lease = lease
        return self._lease

    def _opened(self) -> "_Stream":
        lease = self._take_lease()
        parts = urlsplit(lease.urls[self._slot])
        host, port = self._session.address
        # A bare host names itself by a star; a vCenter names the ESXi host, which must be reachable from here.
        here = parts.hostname in ("*", None)
        try:
            line = Line(
                host if here else str(parts.hostname), port if here else parts.port or 443,
                self._session.context(), TIMEOUT,
                address=None if here else self._session.dialled(str(parts.hostname)),
            )  # fmt: skip
        except ssl.SSLCertVerificationError as error:
            raise FerryError("vsphere.certificate", f"{parts.hostname}: {error.verify_message}") from None
        try:
            with self._waited.on(line.raw):
                head = f"GET {parts.path} HTTP/1.1\r\nHost: {line.host}\r\nConnection: close\r\n\r\n"
                line.sock.sendall(head.encode("ascii"))
                answer = http.client.HTTPResponse(cast(socket.socket, line.sock), method="GET")
                answer.begin()
        except BaseException:
            line.close()
            raise
        if answer.status != 200:
            line.close()
            if answer.status == 404:
                lease.lost = lease.lost or "its URL is gone"
            raise http.client.HTTPException(f"HTTP {answer.status}")
        try:
            with self._waited.on(line.raw):
                stream = _Stream(line, answer)
        except BaseException:
            line.close()
            raise
        if stream.vmdk.capacity != self._capacity:
            stream.close()
            raise NotServed(f"{self._slot}: the export has {stream.vmdk.capacity} bytes, the disk {self._capacity}")
        return stream

    def _check(self, stream: "_Stream") -> None:
        """The host's own count and digest of what it sent; where it keeps none, the stream's end must do."""
        assert self._lease is not None
        try:
            told = self._lease.manifest().get(self._slot)
        except FerryError:
            return  # not every version has one
        if told is None:
            return
        if told.size and told.size != stream.received:
            raise self._disbelieved(f"the host sent {told.size} bytes, {stream.received} came")
        # SHA-1 is what hosts tell, unless they are asked for another.
        if told.sha1 and told.sha1.lower() != stream.sha1.hexdigest():
            raise self._disbelieved("the digest of what came is not that of the host's manifest")

    def _disbelieved(self, told: str) -> FerryError:
        """Told at the stream's end, when most of it is on the target already: the pass does not count."""
        self._end_stream()
        return FerryError("vsphere.stream_disbelieved", f"{self._slot}: {told}")

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class _Stream:
    """One GET, counted and digested."""

    def __init__(self, line: Line, answer: http.client.HTTPResponse) -> None:
        self.line, self._answer = line, answer
        self.sha1 = hashlib.sha1(usedforsecurity=False)
        self.received = self.position = 0
        try:
            self.vmdk = VmdkStream(self._more)
        except BaseException:
            self.close()
            raise

    def _more(self, view: memoryview) -> int:
        count = self._answer.readinto(view)
        self.sha1.update(view[:count])
        self.received += count
        return count

    def close(self) -> None:
        """Hang up."""
        self._answer.close()
        self.line.close()
