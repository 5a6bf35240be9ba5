"""A disk through VDDK, which the operator supplies: nbdkit's vddk plugin behind a unix socket (vsphere.md §1c).

The password goes by a file descriptor. What the plugin serves is read by our own NBD client; any ``libdir`` will do,
VMware's or another that looks like it.
"""

import hashlib
import shlex
import socket
from urllib.parse import urlsplit

from contracts.config import VddkConfig
from contracts.errors import FerryError
from contracts.steps import Freeze, FrozenDisk
from disks.extents import Extent
from disks.nbd import NbdDisk
from disks.nbd_connection import NbdError
from disks.nbd_server import NbdServer
from platforms.secrets import resolve
from platforms.vsphere.located import Located
from platforms.vsphere.session import Session
from platforms.vsphere.transports.reader import NotServed

CONNECT_SECONDS = 20.0


class VddkReader:
    """A :class:`platforms.vsphere.transports.reader.Reader`; one nbdkit for each disk."""

    def __init__(self, session: Session, vddk: VddkConfig, vm: Located, freeze: Freeze, disk: FrozenDisk) -> None:
        self._slot, self._capacity = disk.slot, disk.capacity
        try:
            self._server = NbdServer(
                command_of(session, vddk, vm, freeze, disk), secret=resolve(session.config.password)
            )
        except NbdError as error:
            raise self._not_served(error) from None
        try:
            self._disk: NbdDisk = self._server.open()
        except (NbdError, OSError) as error:
            self._server.close()
            raise self._not_served(error) from None
        if self._disk.size != disk.capacity:
            self.close()
            raise NotServed(f"{disk.slot}: nbdkit serves {self._disk.size} bytes, the disk has {disk.capacity}")

    @property
    def asks_ahead(self) -> int:
        """As the client can."""
        return self._disk.asks_ahead

    def ask(self, offset: int, length: int) -> None:
        """Send the requests."""
        self._disk.ask(offset, length)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer."""
        try:
            self._disk.read_into(offset, buffer)
        except NbdError as error:
            raise self._not_served(error) from None

    def extents(self) -> list[Extent] | None:
        """What may hold data, where the library can tell."""
        try:
            return self._disk.extents() if self._disk.tells_extents else None
        except NbdError:
            return None

    def hang_up(self) -> None:
        """End whatever waits."""
        self._disk.hang_up()

    def close(self) -> None:
        """Hang up, and end nbdkit."""
        self._disk.close()
        self._server.close()

    def _not_served(self, error: Exception) -> FerryError:
        return NotServed(f"{self._slot}: nbdkit: {error}")


def command_of(session: Session, vddk: VddkConfig, vm: Located, freeze: Freeze, disk: FrozenDisk) -> list[str]:
    """nbdkit's command line; ``{socket}`` and ``{secret}`` are put in where it is started."""
    parts = urlsplit(session.config.url)
    # With a snapshot the frozen file is the leaf's parent; without one, the leaf itself (vsphere.md §1c).
    file = disk.chain[-2] if freeze.snapshot is not None and len(disk.chain) > 1 else disk.chain[-1]
    snapshot = [f"snapshot={freeze.snapshot}"] if freeze.snapshot is not None else []
    return [
        vddk.nbdkit, "--exit-with-parent", "--foreground", "--readonly", "--unix={socket}", *shlex.split(vddk.plugin),
        *([f"libdir={vddk.libdir}"] if vddk.libdir else []), f"server={parts.hostname}", f"port={parts.port or 443}",
        f"user={session.config.username}", "password=-{secret}", f"thumbprint={thumbprint_of(session)}",
        f"vm=moref={vm.ref._moId}", *snapshot, f"transports={vddk.transports}", f"file={file}",
    ]  # fmt: skip


def thumbprint_of(session: Session) -> str:
    """SHA-1 of the server's certificate as VDDK wants it, from a connection that our own trust has accepted."""
    host, port = session.address
    try:
        with (
            socket.create_connection((host, port), CONNECT_SECONDS) as raw,
            session.context().wrap_socket(raw, server_hostname=host) as secured,
        ):
            leaf = secured.getpeercert(binary_form=True)
    except OSError as error:
        raise FerryError("vsphere.unreachable", f"{host}: {type(error).__name__}") from None
    digest = hashlib.sha1(leaf or b"", usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
