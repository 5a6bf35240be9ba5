"""VBDs by which dom0 holds a VDI: there while a transfer runs, and leaked when a toolstack dies (xapi.md §1.7)."""

from contracts.errors import FerryError
from platforms.xapi.connection import LONG_CALL_SECONDS, Connection
from platforms.xapi.faults import XapiFailure
from platforms.xapi.lookup import GONE, Record, records_of, vanish


def holders(api: Connection, vdi: str) -> dict[str, Record]:
    """Ref to record of the dom0 VBDs of a VDI (ref)."""
    vbds = records_of(api, "VBD", api.call("VDI.get_VBDs", vdi))
    return {ref: vbd for ref, vbd in vbds.items() if _is_dom0(api, vbd["VM"])}


def _is_dom0(api: Connection, vm: str) -> bool:
    try:
        return bool(api.call("VM.get_is_control_domain", vm))
    except XapiFailure as failure:
        if failure.wire in GONE:
            return False
        raise


def let_go(api: Connection, vdi: str, *, force: bool) -> None:
    """See that dom0 holds a VDI (ref) no longer.

    Raises:
        FerryError: ``xapi.vdi_held``.
    """
    for vbd in holders(api, vdi):
        try:
            release(api, vbd, force=force)
        except XapiFailure as failure:
            raise FerryError("xapi.vdi_held", failure.message) from None


def release(api: Connection, vbd: str, *, force: bool) -> None:
    """Unplug and destroy; gone is success.

    Args:
        force: take it from a program that has it open. That program's transfer then fails.

    Raises:
        XapiFailure: ``DEVICE_DETACH_REJECTED`` and its kin, when something holds on to it.
    """
    try:
        vanish(api, "VBD.unplug", vbd, "DEVICE_ALREADY_DETACHED", patience=LONG_CALL_SECONDS)
    except XapiFailure as failure:
        if not force or failure.wire not in ("DEVICE_DETACH_REJECTED", "DEVICE_DETACH_TIMEOUT"):
            raise
        vanish(api, "VBD.unplug_force", vbd, "DEVICE_ALREADY_DETACHED", patience=LONG_CALL_SECONDS)
    vanish(api, "VBD.destroy", vbd)
