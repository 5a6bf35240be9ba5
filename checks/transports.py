"""By which transports each disk can be read, as far as that is known before anything is frozen."""

from collections.abc import Iterator

from checks.registry import BLOCKER, NOTE, WARNING, check
from checks.seen import Seen
from contracts.facts import Datastore, EsxiHost
from contracts.machine import Power, SourceDisk
from contracts.steps import SourceFacts

WITHOUT_FILES = ("vsan", "VVOL")
"""Types of datastores that have no flat files: nothing is read of them by ranges (vsphere.md §1)."""
HTTPS, VDDK_PORT = 443, 902


def _lacks(source: SourceFacts, *rights: str) -> list[str]:
    return [each.right for each in source.lacking or () if each.right in rights]


def _runs_on(source: SourceFacts) -> EsxiHost | None:
    return next((each for each in source.hosts or () if each.runs_it), None)


def why_not(seen: Seen, disk: SourceDisk) -> dict[str, str]:
    """Transport to what speaks against it; empty where nothing is known to. Only what this machine could be read by.

    The ladder decides when the disk is frozen (DESIGN §4): what is told here is what it cannot overcome.
    """
    source, machine = seen.source, seen.machine
    if machine.in_files:
        return {"file": ""}
    if source is None:
        return {}
    store = next((each for each in source.datastores or () if each.name == disk.datastore), Datastore(name=""))
    host = _runs_on(source)
    filed = disk.datastore_type not in WITHOUT_FILES
    ways: dict[str, str] = {}
    if source.has_vddk:
        lacks = _lacks(
            source, "VirtualMachine.Provisioning.GetVmFiles", "Global.DisableMethods", "Global.EnableMethods"
        )
        ways["nbd"] = ", ".join(lacks) or (_closed(host, VDDK_PORT) if host else "")
    if store.export:
        ways["nfs"] = store.export_trouble or ""
    if not filed:
        ways["https"] = f"{disk.datastore_type} has no files"
    elif machine.foreign_snapshots:
        ways["https"] = "there are snapshots of other people"
    else:
        ways["https"] = ", ".join(_lacks(source, "Datastore.Browse", "Datastore.FileManagement"))
    if machine.read_only:
        ways["nfc"] = "the free licence allows no export"
    else:
        ways["nfc"] = ", ".join(_lacks(source, "VApp.Export")) or (_closed(host, HTTPS) if host else "")
    return ways


def _closed(host: EsxiHost, port: int) -> str:
    if host.resolves is False:
        return f"the name {host.name} leads nowhere"
    return f"{host.name}:{port}: {told}" if (told := host.closed(port)) else ""


@check("preflight.no_transport", BLOCKER, overridable=True)
def no_transport(seen: Seen) -> Iterator[str]:
    """A disk that nothing here can read."""
    for disk in seen.machine.disks:
        ways = why_not(seen, disk)
        if ways and all(ways.values()):
            told = "; ".join(f"{way}: {why}" for way, why in ways.items())
            yield f"disk {disk.slot} on {disk.datastore}: {told}"


@check("preflight.stream_only", NOTE)
def stream_only(seen: Seen) -> Iterator[str]:
    """vSAN and vVol: every pass that is no delta is a stream of the whole disk."""
    if seen.source is None or seen.source.has_vddk:
        return
    for disk in seen.machine.disks:
        if disk.datastore_type in WITHOUT_FILES:
            off = "" if seen.machine.power is Power.ON else ", though it is off"
            yield f"disk {disk.slot} on {disk.datastore} ({disk.datastore_type}) is read as a whole by nfc{off}"


@check("preflight.export_not_seen", WARNING)
def export_not_seen(seen: Seen) -> Iterator[str]:
    """What ferry.toml promises is not there: another transport is taken, which the host pays for."""
    for store in seen.source.datastores or () if seen.source else ():
        if store.export_trouble:
            yield f"{store.name}: {store.export}: {store.export_trouble}"


@check("preflight.export_writable", NOTE)
def export_writable(seen: Seen) -> Iterator[str]:
    """Ferry only reads there; nothing else on this machine should be able to write either."""
    for store in seen.source.datastores or () if seen.source else ():
        if store.export_writable:
            yield f"{store.name}: {store.export} is mounted so that it can be written"


@check("preflight.export_old_spelling", NOTE)
def export_old_spelling(seen: Seen) -> Iterator[str]:
    """As Xen Orchestra's remotes were called."""
    for store in seen.source.datastores or () if seen.source else ():
        if store.export and store.export_key not in ("", store.name):
            yield f"{store.export_key!r} is understood as the datastore {store.name}"
