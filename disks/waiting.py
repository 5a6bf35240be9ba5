"""Connections on which somebody waits for an answer: another thread can end the waiting."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class HungUp(ConnectionError):
    """All is over: nothing is dialled any more."""


class Waited:
    """The sockets that are waited on now, and whether all was hung up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self.over = threading.Event()

    @contextlib.contextmanager
    def on(self, sock: socket.socket) -> Iterator[None]:
        """Wait for this one. Raises :class:`HungUp` when all was hung up already."""
        with self._lock:
            if self.over.is_set():
                raise HungUp("it was hung up")
            self._sockets.add(sock)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(sock)

    def hang_up(self) -> None:
        """Whoever waits gets an end of the stream, or an error. Never raises."""
        with self._lock:
            self.over.set()
            for each in self._sockets:
                with contextlib.suppress(OSError):
                    # Not SSLSocket's: it drops the TLS state that the waiting thread still uses.
                    socket.socket.shutdown(each, socket.SHUT_RDWR)
