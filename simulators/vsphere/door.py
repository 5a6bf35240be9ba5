"""What every door of the simulator has: TLS, a session's cookie, and the ways in which an answer ends."""

import contextlib
import logging
import socket
import struct
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

from simulators.faults import FaultRule
from simulators.outages import Gated
from simulators.vsphere.sessions import Session

if TYPE_CHECKING:
    from simulators.vsphere.server import Listener, VsphereSimulator

log = logging.getLogger(__name__)
COOKIE = "vmware_soap_session"
ENDS = ("drop", "truncate", "stall")
"""Fault actions that end a body in its middle."""


class Door(Gated):
    """One request after another on one connection."""

    protocol_version = "HTTP/1.1"
    server: "Listener"

    def setup(self) -> None:
        """The handshake, in the connection's own thread."""
        self.request.settimeout(60)
        self.request.do_handshake()
        self.request.settimeout(None)
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        """For whoever debugs a test."""
        log.debug(format, *args)

    @property
    def lab(self) -> "VsphereSimulator":
        """Whose door it is."""
        return self.server.simulator

    def session(self) -> Session | None:
        """That of the cookie; None: none, or one that has ended."""
        cookie = SimpleCookie(self.headers.get("Cookie", ""))
        if COOKIE in cookie:
            return self.lab.sessions.find(cookie[COOKIE].value.strip('"'))
        return None

    def plain(
        self, status: int, body: bytes = b"", kind: str = "text/html", extra: dict[str, str] | None = None
    ) -> None:
        """A whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def end_early(self, rule: FaultRule | None) -> None:
        """In the middle of a body: as by a reset, as by a close, or by silence until the client has hung up."""
        action = rule.action if rule is not None else ""
        if action == "drop":
            return self.reset()
        if action == "stall":
            with contextlib.suppress(OSError):
                while self.connection.recv(1):
                    pass
        self.close_connection = True
        return None

    def reset(self) -> None:
        """Instead of an answer, or of its rest."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
