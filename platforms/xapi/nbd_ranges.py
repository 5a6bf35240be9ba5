"""Parts of a VDI read again by XAPI's NBD server (xapi.md §4.2), for proofs that have no time for the whole disk."""

import ssl
from typing import Any

from contracts.errors import FerryError
from contracts.steps import Errand
from disks.nbd import NbdDisk
from disks.nbd_connection import NbdAddress, NbdError
from platforms.xapi.connection import Connection
from platforms.xapi.lookup import vdi_ref

FAILED = "xapi.read_back_failed"


class VdiRanges:
    """A :class:`disks.protocols.RangeReader`: read-only, over TLS.

    The server's certificate is the one that XAPI names, over a connection that is trusted already.
    """

    def __init__(self, disk: NbdDisk, label: str) -> None:
        self._disk, self._label = disk, label
        self.virtual_size = disk.size
        self.asks_ahead = disk.asks_ahead

    def ask(self, offset: int, length: int) -> None:
        """Send the request."""
        self._disk.ask(offset, length)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer. Raises ``xapi.read_back_failed``."""
        try:
            self._disk.read_into(offset, buffer)
        except NbdError as error:
            raise FerryError(FAILED, f"{self._label}: {error}") from None

    def close(self) -> None:
        """Hang up: the VDI leaves dom0 then."""
        self._disk.close()


def open_ranges(api: Connection, vdi: str, errand: Errand) -> VdiRanges | None:
    """A reader of a VDI's ranges; None where no network of the pool has the purpose ``nbd``.

    A network for NBD without TLS is passed over: nothing is read in the clear.

    Raises:
        FerryError: ``xapi.read_back_failed`` when no host answers.
    """
    label, told = f"{errand.vm} / {vdi} by NBD", ""
    for door in doors(api, vdi_ref(api, vdi)):
        try:
            return VdiRanges(NbdDisk(_address(door), context=""), label)
        except (NbdError, OSError) as error:
            told = str(error) if isinstance(error, NbdError) else (error.strerror or type(error).__name__)
    if told:
        raise FerryError(FAILED, f"{label}: {told}")
    return None


def doors(api: Connection, vdi: str) -> list[dict[str, Any]]:
    """Where a VDI (ref) may be read by NBD over TLS; empty where the pool does not offer it."""
    if not any("nbd" in each["purpose"] for each in api.call("network.get_all_records").values()):
        return []
    found: list[dict[str, Any]] = api.call("VDI.get_nbd_info", vdi)
    return found


def _address(door: dict[str, Any]) -> NbdAddress:
    trust = ssl.create_default_context(cadata=door["cert"])
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a host's certificate, whoever signed it
    return NbdAddress(
        export=door["exportname"], host=door["address"], port=int(door["port"]), tls=trust, name=door["subject"]
    )
