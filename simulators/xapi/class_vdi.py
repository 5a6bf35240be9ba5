"""Classes VDI and VBD: sizes as the SR rounds them, rules of attachment."""

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulators.xapi.database import is_null
from simulators.xapi.failure import XapiFailure
from simulators.xapi.pool import message
from simulators.xapi.signatures import fields, from_wire

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool

MIB = 1 << 20
VHD_MOST = 2040 << 30
QCOW2_MOST = 16381 << 30
ROUNDED_TO = 2 * MIB


def checked_record(cls: str, given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a create record, typed.

    Raises:
        XapiFailure: FIELD_TYPE_ERROR for a missing or mistyped field.
    """
    known = fields(cls)
    values: dict[str, Any] = {}
    for name, (kind, _, may_be_given, required, _) in known.items():
        if name in given:
            if may_be_given:
                values[name] = from_wire(kind, given[name], name)
        elif required:
            raise XapiFailure("FIELD_TYPE_ERROR", name)
    return values


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file so that its holes stay holes."""
    with source.open("rb") as reader, target.open("wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        writer.truncate(size)
        at = 0
        while at < size:
            try:
                start = os.lseek(reader.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(reader.fileno(), start, os.SEEK_HOLE)
            while start < at:
                done = os.copy_file_range(reader.fileno(), writer.fileno(), at - start, start, start)
                if done == 0:
                    break
                start += done


@message("VDI.create")
def create(pool: "Pool", session: str, given: dict[str, Any]) -> str:
    values = checked_record("VDI", given)
    sr, size = values["SR"], values["virtual_size"]
    record = pool.db.get("SR", sr)
    if not any(pool.sees(host, sr) for host in pool.hosts):
        raise XapiFailure("SR_HAS_NO_PBDS", sr)
    if size <= 0:
        raise XapiFailure("SR_BACKEND_FAILURE_79", "", f"VDI Invalid size [opterr={size}]", "")
    drivers = [each for each in pool.db.all("SM").values() if each["type"] == record["type"]]
    qcow2 = any("qcow2" in each["supported_image_formats"] for each in drivers)
    most = QCOW2_MOST if qcow2 and values["sm_config"].get("image-format") == "qcow2" else VHD_MOST
    if size > most:
        told = f"VDI Invalid size [opterr=VDI size must be at most {most >> 30} GiB]"
        raise XapiFailure("SR_BACKEND_FAILURE_79", "", told, "")
    rounded = -(-size // ROUNDED_TO) * ROUNDED_TO
    used = used_of(pool, sr)
    needed = rounded if record["type"].startswith("lvm") else 0
    if used + needed > record["physical_size"]:
        raise XapiFailure("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")
    ref = pool.db.add("VDI", **{**values, "virtual_size": rounded, "managed": True, "location": ""})
    record["VDIs"].append(ref)
    with pool.vdi_file(ref).open("wb") as file:
        file.truncate(rounded)
    return ref


def used_of(pool: "Pool", sr: str) -> int:
    """Bytes: all that its VDIs may ever hold on a thick SR, what they hold on a thin one."""
    thick = pool.db.get("SR", sr)["type"].startswith("lvm")
    return sum(
        vdi["virtual_size"] if thick else pool.vdi_file(ref).stat().st_blocks * 512
        for ref, vdi in pool.db.all("VDI").items()
        if vdi["SR"] == sr
    )


def vhd_backed(pool: "Pool", vdi: str) -> bool:
    """Whether it lies on its SR as a VHD."""
    record = pool.db.get("VDI", vdi)
    sr = pool.db.get("SR", record["SR"])
    form = record["sm_config"].get("image-format", record["sm_config"].get("type", "vhd"))
    raw = sr["type"].startswith("lvm") and sr["sm_config"].get("use_vhd") != "true"
    return form == "vhd" and not raw and record["virtual_size"] <= VHD_MOST


@message("VDI.destroy")
def destroy(pool: "Pool", session: str, vdi: str) -> str:
    record = pool.db.get("VDI", vdi)
    vbds = pool.vbds_of_vdi(vdi)
    if any(vbd["currently_attached"] for vbd in vbds.values()):
        raise XapiFailure("VDI_IN_USE", vdi, "destroy")
    for each in vbds:
        forget_vbd(pool, each)
    pool.vdi_file(vdi).unlink(missing_ok=True)
    pool.chains.gone(vdi)
    pool.db.get("SR", record["SR"])["VDIs"].remove(vdi)
    pool.db.remove("VDI", vdi)
    pool.db.forget_snapshot("VDI", vdi, record["snapshot_of"])
    return ""


@message("VDI.snapshot")
def snapshot(pool: "Pool", session: str, vdi: str, driver_params: dict[str, str] | None = None) -> str:
    record = pool.db.get("VDI", vdi)
    sr = pool.db.get("SR", record["SR"])
    if sr["type"].startswith("lvm") and used_of(pool, record["SR"]) + record["virtual_size"] > sr["physical_size"]:
        raise XapiFailure("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")  # thick: all of it once more
    ref = pool.db.add(
        "VDI",
        **{
            **record,
            "uuid": str(uuid.uuid4()),
            "is_a_snapshot": True,
            "snapshot_of": vdi,
            "snapshot_time": datetime.now(UTC),
            "snapshots": [],
            "VBDs": [],
            "other_config": dict(record["other_config"]),
        },
    )
    copy_sparse(pool.vdi_file(vdi), pool.vdi_file(ref))
    pool.chains.snapshot(vdi, ref)
    record["snapshots"].append(ref)
    pool.db.get("SR", record["SR"])["VDIs"].append(ref)
    return ref


@message("VDI.resize")
def resize(pool: "Pool", session: str, vdi: str, size: int) -> str:
    record = pool.db.get("VDI", vdi)
    rounded = -(-size // ROUNDED_TO) * ROUNDED_TO
    if rounded < record["virtual_size"]:
        raise XapiFailure("SR_BACKEND_FAILURE_79", "", "VDI Invalid size [opterr=shrinking not allowed]", "")
    os.truncate(pool.vdi_file(vdi), rounded)
    record["virtual_size"] = rounded
    return ""


@message("VDI.get_nbd_info")
def nbd_info(pool: "Pool", session: str, vdi: str) -> list[dict[str, Any]]:
    """One for each address of a host that sees the SR, on the networks that are for it."""
    record = pool.db.get("VDI", vdi)
    found = []
    for pif in pool.db.all("PIF").values():
        host = pif["host"]
        if pool.db.get("network", pif["network"])["purpose"] and pool.sees(host, record["SR"]):
            port, certificate, subject = pool.nbd_doors[host]
            found.append(
                {
                    "exportname": f"/{record['uuid']}?session_id={session}",
                    "address": subject,
                    "port": port,
                    "cert": certificate,
                    "subject": subject,
                }
            )
    return found


@message("VBD.create")
def create_vbd(pool: "Pool", session: str, given: dict[str, Any]) -> str:
    values = checked_record("VBD", given)
    vm = pool.db.get("VM", values["VM"])
    if not is_null(values["VDI"]):
        vdi = pool.db.get("VDI", values["VDI"])
        if values["mode"] == "RW" and vdi["read_only"]:
            raise XapiFailure("VDI_READONLY", values["VDI"])
    if values["type"] == "CD" and values["mode"] != "RO":
        raise XapiFailure("VBD_CDS_MUST_BE_READONLY")
    if values["empty"] and values["type"] != "CD":
        raise XapiFailure("VBD_NOT_REMOVABLE_MEDIA", "")
    taken = {pool.db.get("VBD", each)["userdevice"] for each in vm["VBDs"]}
    if values["userdevice"] == "autodetect":
        values["userdevice"] = next(str(each) for each in range(255) if str(each) not in taken)
    if not values["userdevice"].isdigit() or int(values["userdevice"]) > 254:
        raise XapiFailure("INVALID_DEVICE", values["userdevice"])
    if values["userdevice"] in taken:
        raise XapiFailure("DEVICE_ALREADY_EXISTS", values["userdevice"])
    ref = pool.db.add("VBD", **values)
    vm["VBDs"].append(ref)
    if not is_null(values["VDI"]):
        pool.db.get("VDI", values["VDI"])["VBDs"].append(ref)
    return ref


def forget_vbd(pool: "Pool", ref: str) -> None:
    """Remove a VBD and what names it."""
    record = pool.db.get("VBD", ref)
    for cls in ("VM", "VDI"):
        if pool.db.has(cls, record[cls]) and ref in pool.db.get(cls, record[cls])["VBDs"]:
            pool.db.get(cls, record[cls])["VBDs"].remove(ref)
    pool.db.remove("VBD", ref)


@message("VBD.destroy")
def destroy_vbd(pool: "Pool", session: str, vbd: str) -> str:
    if pool.db.get("VBD", vbd)["currently_attached"]:
        raise XapiFailure("OPERATION_NOT_ALLOWED", f"VBD '{pool.db.get('VBD', vbd)['uuid']}' still attached")
    forget_vbd(pool, vbd)
    return ""


@message("VBD.plug")
def plug(pool: "Pool", session: str, vbd: str) -> str:
    record = pool.db.get("VBD", vbd)
    vm = pool.db.get("VM", record["VM"])
    if vm["power_state"] != "Running":
        raise XapiFailure("VM_BAD_POWER_STATE", record["VM"], "running", vm["power_state"].lower())
    if record["currently_attached"]:
        raise XapiFailure("DEVICE_ALREADY_ATTACHED", vbd)
    record["currently_attached"] = True
    return ""


@message("VBD.unplug")
def unplug(pool: "Pool", session: str, vbd: str) -> str:
    record = pool.db.get("VBD", vbd)
    if not record["currently_attached"]:
        raise XapiFailure("DEVICE_ALREADY_DETACHED", vbd)
    if vbd in pool.open_devices:
        raise XapiFailure("DEVICE_DETACH_REJECTED", "VBD", vbd, "Device is in use")
    record["currently_attached"] = False
    return ""


@message("VBD.unplug_force")
def unplug_force(pool: "Pool", session: str, vbd: str) -> str:
    record = pool.db.get("VBD", vbd)
    if not record["currently_attached"]:
        raise XapiFailure("DEVICE_ALREADY_DETACHED", vbd)
    if vbd in pool.open_devices:
        pool.open_devices[vbd].pull()
    record["currently_attached"] = False
    return ""
