"""A disk image, read through qemu-nbd behind a unix socket: any format, by ranges, holes told."""

from contracts.errors import FerryError
from disks.extents import Extent
from disks.nbd import NbdDisk
from disks.nbd_connection import NbdError
from disks.nbd_server import NbdServer
from platforms.files.images import Image, as_filename

TRANSPORT = "file"


class FileDisk:
    """A :class:`disks.protocols.DiskSource`; one qemu-nbd for each.

    Raises:
        FerryError: ``file.unreadable``.
    """

    def __init__(self, image: Image, slot: str, reason: str) -> None:
        self._slot, self._reason = slot, reason
        self._capacity = image.capacity
        command = [
            "qemu-nbd",
            "--read-only",
            "--persistent",
            "--shared=4",
            "--socket={socket}",
            as_filename(image.node),
        ]
        try:
            self._server = NbdServer(command)
        except NbdError as error:
            raise self._failed(error) from None
        try:
            self._disk: NbdDisk = self._server.open()
        except (NbdError, OSError) as error:
            self._server.close()
            raise self._failed(error) from None
        if self._disk.size not in (image.capacity, image.capacity - image.capacity % 512):
            size = self._disk.size
            self.close()
            raise FerryError("file.changed", f"{slot}: it has {size} bytes now, and had {image.capacity}")

    @property
    def capacity(self) -> int:
        """Bytes."""
        return self._capacity

    @property
    def transport(self) -> str:
        """Files have one."""
        return TRANSPORT

    @property
    def reason(self) -> str:
        """Which format."""
        return self._reason

    def step_down(self, error: FerryError) -> bool:
        """There is no other."""
        return False

    def allocated(self) -> list[Extent]:
        """As the format tells."""
        try:
            return self._disk.extents() if self._disk.tells_extents else [Extent(0, self._capacity)]
        except NbdError as error:
            raise self._failed(error) from None

    def changed_since(self, landmark: str) -> list[Extent]:
        """Nobody keeps track."""
        raise FerryError("vsphere.change_tracking_unusable", f"{self._slot}: a file does not tell what changed")

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
            raise self._failed(error) from None

    def hang_up(self) -> None:
        """End whatever waits."""
        self._disk.hang_up()

    def close(self) -> None:
        """Hang up, and end qemu-nbd."""
        self._disk.close()
        self._server.close()

    def _failed(self, error: Exception) -> FerryError:
        return FerryError("file.unreadable", f"{self._slot}: {error}")
