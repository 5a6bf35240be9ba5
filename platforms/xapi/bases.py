"""Snapshots of the disks that are read back whole while the source runs, so that later only the difference is due."""

import uuid

from contracts.errors import FerryError
from contracts.steps import VHD_MOST, BaseReport, Errand
from platforms.xapi import dom0, tasks
from platforms.xapi.connection import LONG_CALL_SECONDS, Connection
from platforms.xapi.facts import fresh_sr
from platforms.xapi.faults import XapiFailure
from platforms.xapi.lookup import Record, disk_vbds, marked, records_of, vanish, vm_ref
from platforms.xapi.marks import BASE_KEY, WRITTEN_KEY, put
from platforms.xapi.nbd_ranges import doors

_THICK = ("lvm", "lvmoiscsi", "lvmohba", "equal")
_NEVER = ("SR_OPERATION_NOT_SUPPORTED", "UNIMPLEMENTED_IN_SM_BACKEND", "VDI_INCOMPATIBLE_TYPE")
_NO_NBD = "no network of the pool has the purpose nbd, and"


def take_bases(api: Connection, vm: str, errand: Errand) -> BaseReport:
    """One snapshot for each disk of a VM (uuid); or none, not of an earlier attempt either, and why."""
    vdis = {
        ref: record
        for vbd in disk_vbds(api, vm_ref(api, vm)).values()
        for ref, record in records_of(api, "VDI", [vbd["VDI"]]).items()
    }
    if vdis and all(doors(api, ref) for ref in vdis):
        drop_bases(api, errand)
        return BaseReport()
    reason = _no_vhd(vdis) or _no_room(api, vdis, errand)
    if reason:
        drop_bases(api, errand)
        return BaseReport(reason=f"{_NO_NBD} {reason}")
    try:
        return BaseReport(vdis={record["uuid"]: _take(api, ref, record, errand) for ref, record in vdis.items()})
    except XapiFailure as failure:
        if failure.wire not in _NEVER:
            raise
        drop_bases(api, errand)
        return BaseReport(reason=f"{_NO_NBD} the SR takes no snapshot: {failure.message}")


def drop_bases(api: Connection, errand: Errand) -> None:
    """Remove all of a migration, and see to it that a worker which is just taking one finds that it is too late.

    Raises:
        FerryError: ``xapi.vdi_held`` when somebody else's program has one open.
    """
    for ref, record in marked(api, "VDI", errand.migration).items():
        if BASE_KEY in record["other_config"]:
            api.call("VDI.remove_from_other_config", ref, BASE_KEY)
    for ref, record in _bases(api, errand).items():
        remove_base(api, ref, record)


def _no_vhd(vdis: dict[str, Record]) -> str:
    for record in vdis.values():
        config = record["sm_config"]
        form = config.get("image-format", config.get("type", "vhd"))
        if int(record["virtual_size"]) > VHD_MOST or form != "vhd":
            return f"VDI {record['name_label']} is no VHD, of which alone a difference can be told"
    return ""


def _no_room(api: Connection, vdis: dict[str, Record], errand: Errand) -> str:
    """A thick SR reserves a disk once more for each snapshot, and the pre-start one must find its room, too."""
    there = {base["snapshot_of"] for base in _bases(api, errand).values()}
    for sr in {record["SR"] for record in vdis.values()}:
        record = fresh_sr(api, sr)
        free = int(record["physical_size"]) - int(record["physical_utilisation"])
        wanted = sum(
            int(vdi["virtual_size"]) * (1 if ref in there else 2) for ref, vdi in vdis.items() if vdi["SR"] == sr
        )
        if record["type"] in _THICK and free < wanted:
            return (
                f"SR {record['name_label']} reserves a disk once more for each snapshot: {free >> 20} MiB are free, "
                f"{wanted >> 20} MiB are wanted"
            )
    return ""


def _take(api: Connection, vdi: str, record: Record, errand: Errand) -> str:
    """The uuid of the snapshot. It inherits ``other_config``: so it bears its mark from its first moment."""
    found = ""
    for ref, base in _bases(api, errand).items():
        if base["snapshot_of"] != vdi:
            continue
        same = base["other_config"].get(WRITTEN_KEY) == record["other_config"].get(WRITTEN_KEY)
        if same and not found:
            found = str(base["uuid"])
        else:
            remove_base(api, ref, base)
    if found:
        api.call("VDI.remove_from_other_config", vdi, BASE_KEY)  # an attempt that died may have left it there
        return found
    token = uuid.uuid4().hex
    put(api, "VDI", vdi, BASE_KEY, token)
    taken: str = api.call("VDI.snapshot", vdi, {}, patience=LONG_CALL_SECONDS)
    wanted = api.call("VDI.get_other_config", vdi).get(BASE_KEY) == token
    api.call("VDI.remove_from_other_config", vdi, BASE_KEY)
    if not wanted:  # somebody has cleared up since, or another attempt takes its own
        vanish(api, "VDI.destroy", taken)
        raise FerryError("xapi.superseded", f"{errand.vm}: its snapshots for the proof are not wanted any more")
    return str(api.call("VDI.get_uuid", taken))


def _bases(api: Connection, errand: Errand) -> dict[str, Record]:
    """Those that are in no snapshot of a VM: one that somebody took meanwhile may have inherited the mark."""
    found = {
        ref: record
        for ref, record in marked(api, "VDI", errand.migration, snapshots=True).items()
        if record["is_a_snapshot"] and BASE_KEY in record["other_config"]
    }
    return {ref: record for ref, record in found.items() if set(record["VBDs"]) <= set(dom0.holders(api, ref))}


def remove_base(api: Connection, ref: str, record: Record) -> None:
    """One of them."""
    dom0.let_go(api, ref, force=bool(tasks.unended_of(api, record["uuid"])))
    vanish(api, "VDI.destroy", ref)
