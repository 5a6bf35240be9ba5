"""One ``ssl.SSLContext`` per system, for every client of it (vsphere.md §5: pyVmomi's own pinning is a trap).

With pins, whoever answers must show one of exactly these certificates, whatever its name or issuer: a pool has a
self-signed one per host. It is compared at the end of every handshake, before a byte is said. Nobody is trusted for
being on this machine.
"""

import hashlib
import ssl
from typing import Any

from contracts.config import System
from contracts.errors import FerryError


def context_for(system: System) -> ssl.SSLContext:
    """The context that a system's config asks for. Raises ``config.invalid``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if system.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if system.tls_sha256:
        return _pinned(context, frozenset(pin.replace(":", "").lower() for pin in system.tls_sha256))
    if system.ca_file is not None:
        try:
            context.load_verify_locations(cafile=str(system.ca_file))
        except (OSError, ssl.SSLError):
            raise FerryError(
                "config.invalid", f"ca_file {system.ca_file} holds no certificate that can be read"
            ) from None
        return context
    context.load_default_certs()
    return context


def _pinned(context: ssl.SSLContext, pins: frozenset[str]) -> ssl.SSLContext:
    """The handshake proves that the peer has the key of the certificate it shows; that it is a pinned one is on us."""
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            _compare(self, pins)

    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            _compare(self, pins)

    context.sslsocket_class = PinnedSocket
    context.sslobject_class = PinnedObject
    return context


def _compare(peer: Any, pins: frozenset[str]) -> None:
    leaf: bytes = peer.getpeercert(binary_form=True) or b""
    seen = hashlib.sha256(leaf).hexdigest()
    if seen not in pins:
        told = f"its SHA-256 is {seen}, which is none of the pins"
        refused = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] {told}")
        refused.verify_message, refused.verify_code = told, 0
        raise refused
