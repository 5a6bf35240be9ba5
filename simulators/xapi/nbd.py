"""XAPI's NBD server of one host (xapi.md §4.2): read-only, TLS demanded where the network says ``nbd``, plain replies.

Each connection attaches the VDI to dom0 for as long as it lasts, and a host takes sixteen of them. Left out: the list
of exports, IPv6.
"""

import contextlib
import logging
import os
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from simulators.xapi.failure import XapiFailure
from simulators.xapi.transfers import attached

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool

MOST_CONNECTIONS = 16
_MAGIC, _REPLY = 0x49484156454F5054, 0x3E889045565A9
_EXPORT_NAME, _ABORT, _STARTTLS = 1, 2, 5
_ACK, _UNSUPPORTED, _TLS_WANTED, _UNKNOWN = 1, 1 << 31 | 1, 1 << 31 | 5, 1 << 31 | 6
_READ, _DISC = 0, 2
_READ_ONLY = 1 | 2
_EIO, _EPERM, _EINVAL = 5, 1, 22

log = logging.getLogger(__name__)


class NbdServer:
    """Listens at the host's address, on a port of its own."""

    def __init__(self, pool: "Pool", host: str, name: str, context: ssl.SSLContext) -> None:
        self._pool, self._host, self._context = pool, host, context
        self._listener = socket.create_server((name, 0))
        self.port = int(self._listener.getsockname()[1])
        self._turns = threading.Semaphore(MOST_CONNECTIONS)

    def start(self) -> None:
        """Serve."""
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._turns.acquire(blocking=False):
            connection.close()
            return
        try:
            with connection:
                self._shake_hands(connection)
        except (OSError, EOFError, XapiFailure):
            log.debug("an NBD connection ended", exc_info=True)
        finally:
            self._turns.release()

    def _shake_hands(self, plain: socket.socket) -> None:
        plain.sendall(struct.pack(">8sQH", b"NBDMAGIC", _MAGIC, 3))
        (flags,) = struct.unpack(">I", _bytes(plain, 4))
        connection: socket.socket = plain
        secured = self._pool.nbd_purpose() != "nbd"
        while True:
            magic, option, length = struct.unpack(">QII", _bytes(connection, 16))
            if magic != _MAGIC or length > 4096:
                return
            data = _bytes(connection, length)
            if option == _STARTTLS and not secured:
                connection.sendall(struct.pack(">QIII", _REPLY, option, _ACK, 0))
                connection = self._context.wrap_socket(plain, server_side=True)
                secured = True
            elif option == _ABORT:
                return
            elif option == _EXPORT_NAME:
                if secured:
                    self._export(connection, data.decode(), zeroes=not flags & 2)
                return
            else:
                told = _UNSUPPORTED if secured else _TLS_WANTED
                connection.sendall(struct.pack(">QIII", _REPLY, option, told, 0))

    def _export(self, connection: socket.socket, name: str, *, zeroes: bool) -> None:
        parts, pool = urlsplit(name), self._pool
        pool.sessions.check(parse_qs(parts.query).get("session_id", [""])[0])
        vdi = pool.db.by_uuid("VDI", parts.path.removeprefix("/"))
        with attached(pool, self._host, vdi, "RO", None) as device:
            connection.sendall(struct.pack(">QH", device.size, _READ_ONLY) + bytes(124 if zeroes else 0))
            while True:
                magic, _, kind, handle, offset, length = struct.unpack(">IHHQQI", _bytes(connection, 28))
                if magic != 0x25609513 or kind == _DISC:
                    return
                error, data = _EPERM, b""
                if kind == _READ:
                    error = _EINVAL if offset + length > device.size or length > 32 << 20 else 0
                if not error:
                    data = os.pread(device.descriptor, length, offset).ljust(length, b"\0")
                    pool.stats.bytes_read_by_nbd += length
                connection.sendall(struct.pack(">IIQ", 0x67446698, error, handle) + data)


def _bytes(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
