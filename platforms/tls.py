"""One ``ssl.SSLContext`` per system, for every client of it (vsphere.md §5: pyVmomi's own pinning is a trap).

A pin trusts exactly one certificate: the leaf is fetched with nothing said to the peer, its SHA-256 compared, and
then it is the only anchor. Nobody is trusted for being on this machine.
"""

import hashlib
import socket
import ssl
from urllib.parse import urlsplit

from contracts.config import System
from contracts.errors import FerryError

PATIENCE = 20.0


def context_for(system: System, *, code: str) -> ssl.SSLContext:
    """The context that a system's config asks for.

    Args:
        code: of the error for a certificate that is not trusted: ``vsphere.certificate``, ``xapi.certificate``.

    Raises:
        FerryError: ``code``; or its ``….unreachable`` when pins are to be compared and nobody answers.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if system.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if system.tls_sha256:
        pins = {pin.replace(":", "").lower() for pin in system.tls_sha256}
        return pinned(context, system.url, pins, code=code)
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


def pinned(context: ssl.SSLContext, url: str, pins: set[str], *, code: str) -> ssl.SSLContext:
    """Trust the leaf that answers at the URL, if its SHA-256 is among the pins."""
    leaf = _leaf(url, code.partition(".")[0])
    seen = hashlib.sha256(leaf).hexdigest()
    if seen not in pins:
        raise FerryError(code, f"the certificate at {url} has SHA-256 {seen}, which is none of the pins")
    context.check_hostname = False  # the pin says who it is; many hosts' certificates bear another name
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(leaf))
    return context


def _leaf(url: str, system: str) -> bytes:
    parts = urlsplit(url)
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE  # nothing is said over this connection: it only shows its certificate
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 443), PATIENCE) as plain,
            blind.wrap_socket(plain, server_hostname=parts.hostname) as shown,
        ):
            leaf = shown.getpeercert(binary_form=True)
    except OSError as error:
        raise FerryError(
            f"{system}.unreachable", f"{url} does not answer: {error.strerror or type(error).__name__}"
        ) from None
    assert leaf is not None
    return leaf
