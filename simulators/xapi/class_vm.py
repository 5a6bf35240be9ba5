"""Classes VM and VIF: making, blocking, starting, stopping, snapshots."""

import re
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from simulators.xapi import consoles, guest
from simulators.xapi.class_vdi import checked_record, forget_vbd
from simulators.xapi.class_vdi import snapshot as snapshot_vdi
from simulators.xapi.database import is_null
from simulators.xapi.failure import NULL, XapiFailure
from simulators.xapi.pool import message

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool

_MAC = re.compile(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")


@message("VM.create")
def create(pool: "Pool", session: str, given: dict[str, Any]) -> str:
    values = checked_record("VM", given)
    values.update(blocked_operations={}, power_state="Halted")  # dropped on create (xapi.md §3.1)
    values["other_config"].setdefault("mac_seed", str(uuid.uuid4()))
    if values.get("domain_type", "unspecified") == "unspecified" and values["HVM_boot_policy"]:
        values["domain_type"] = "hvm"
    # A VM has metrics from the first, of one that never started (xapi_vm.ml ``create``).
    values["metrics"] = pool.db.add("VM_metrics", start_time=datetime.fromtimestamp(0, UTC))
    values["last_boot_CPU_flags"] = {}
    return pool.db.add("VM", **values)


def _halted(pool: "Pool", vm: str) -> dict[str, Any]:
    record = pool.db.get("VM", vm)
    if record["power_state"] != "Halted":
        raise XapiFailure("VM_BAD_POWER_STATE", vm, "halted", record["power_state"].lower())
    return record


def _not_blocked(pool: "Pool", vm: str, operation: str) -> None:
    blocked = pool.db.get("VM", vm)["blocked_operations"]
    if operation in blocked:
        raise XapiFailure("OPERATION_BLOCKED", vm, blocked[operation])


@message("VM.clone")
def clone(pool: "Pool", session: str, vm: str, new_name: str) -> str:
    record = _halted(pool, vm)
    _not_blocked(pool, vm, "clone")
    other = {key: value for key, value in record["other_config"].items() if key != "default_template"}
    if record["is_a_template"]:
        other["base_template_name"] = record["name_label"]
    other["mac_seed"] = str(uuid.uuid4())
    copied = {
        **record, "uuid": str(uuid.uuid4()), "name_label": new_name, "other_config": other,
        "is_default_template": False, "VBDs": [], "VIFs": [], "consoles": [], "snapshots": [], "blocked_operations": {},
        "metrics": NULL,
        "platform": dict(record["platform"]), "HVM_boot_params": dict(record["HVM_boot_params"]),
        "tags": list(record["tags"]),
    }  # fmt: skip
    return pool.db.add("VM", **copied)


@message("VM.provision")
def provision(pool: "Pool", session: str, vm: str) -> str:
    record = _halted(pool, vm)
    if not record["is_a_template"]:
        raise XapiFailure("PROVISION_ONLY_ALLOWED_ON_TEMPLATE")
    if "<disk " in record["other_config"].get("disks", ""):
        raise XapiFailure("SR_NOT_SHARABLE", "", "the template's own disks: not simulated")
    record["is_a_template"] = False
    return ""


@message("VM.set_is_a_template")
def set_is_a_template(pool: "Pool", session: str, vm: str, value: bool) -> str:
    _halted(pool, vm)["is_a_template"] = value
    return ""


@message("VM.set_memory_limits")
def set_memory_limits(
    pool: "Pool", session: str, vm: str, static_min: int, static_max: int, dynamic_min: int, dynamic_max: int
) -> str:
    if not static_min <= dynamic_min <= dynamic_max <= static_max:
        raise XapiFailure("MEMORY_CONSTRAINT_VIOLATION_ORDER", "")
    _halted(pool, vm).update(
        memory_static_min=static_min,
        memory_static_max=static_max,
        memory_dynamic_min=dynamic_min,
        memory_dynamic_max=dynamic_max,
    )
    return ""


@message("VM.set_VCPUs_max")
def set_vcpus_max(pool: "Pool", session: str, vm: str, value: int) -> str:
    record = _halted(pool, vm)
    if value < record["VCPUs_at_startup"]:
        raise XapiFailure("INVALID_VALUE", "VCPUs_max", str(value))
    record["VCPUs_max"] = value
    return ""


@message("VM.set_VCPUs_at_startup")
def set_vcpus_at_startup(pool: "Pool", session: str, vm: str, value: int) -> str:
    record = _halted(pool, vm)
    if not 0 < value <= record["VCPUs_max"]:
        raise XapiFailure("INVALID_VALUE", "VCPUs_at_startup", str(value))
    record["VCPUs_at_startup"] = value
    return ""


@message("VM.set_HVM_boot_policy")
def set_hvm_boot_policy(pool: "Pool", session: str, vm: str, value: str) -> str:
    _halted(pool, vm)["HVM_boot_policy"] = value
    return ""


@message("VM.set_bios_strings")
def set_bios_strings(pool: "Pool", session: str, vm: str, value: dict[str, str]) -> str:
    record = pool.db.get("VM", vm)
    if record["bios_strings"]:
        raise XapiFailure("VM_BIOS_STRINGS_ALREADY_SET")
    record["bios_strings"] = value
    return ""


@message("VM.destroy")
def destroy(pool: "Pool", session: str, vm: str) -> str:
    record = _halted(pool, vm)
    _not_blocked(pool, vm, "destroy")
    for vbd in list(record["VBDs"]):
        forget_vbd(pool, vbd)
    for vif in record["VIFs"]:
        pool.db.remove("VIF", vif)
    pool.db.remove("VM", vm)
    pool.db.forget_snapshot("VM", vm, record["snapshot_of"])
    return ""


@message("VM.get_allowed_VBD_devices")
def allowed_vbd_devices(pool: "Pool", session: str, vm: str) -> list[str]:
    taken = {pool.db.get("VBD", each)["userdevice"] for each in pool.db.get("VM", vm)["VBDs"]}
    return [str(each) for each in range(255) if str(each) not in taken]


@message("VM.get_allowed_VIF_devices")
def allowed_vif_devices(pool: "Pool", session: str, vm: str) -> list[str]:
    taken = {pool.db.get("VIF", each)["device"] for each in pool.db.get("VM", vm)["VIFs"]}
    return [str(each) for each in range(7) if str(each) not in taken]


@message("VM.snapshot")
def snapshot(pool: "Pool", session: str, vm: str, new_name: str, ignore_vdis: list[str] | None = None) -> str:
    record = pool.db.get("VM", vm)
    _not_blocked(pool, vm, "snapshot")
    copied = {
        **record, "uuid": str(uuid.uuid4()), "name_label": new_name, "is_a_template": True, "is_a_snapshot": True,
        "snapshot_of": vm, "snapshot_time": datetime.now(UTC), "VBDs": [], "VIFs": [], "consoles": [], "snapshots": [],
        "power_state": "Halted", "other_config": dict(record["other_config"]), "blocked_operations": {},
    }  # fmt: skip
    ref = pool.db.add("VM", **copied)
    for each in record["VBDs"]:
        vbd = pool.db.get("VBD", each)
        vdi = vbd["VDI"]
        if not is_null(vdi) and vbd["type"] == "Disk" and vdi not in (ignore_vdis or []):
            taken = snapshot_vdi(pool, session, vdi)
            new = pool.db.add("VBD", **{**vbd, "VM": ref, "VDI": taken, "currently_attached": False})
            pool.db.get("VM", ref)["VBDs"].append(new)
            pool.db.get("VDI", taken)["VBDs"].append(new)
    record["snapshots"].append(ref)
    return ref


@message("VM.assert_can_boot_here")
def assert_can_boot_here(pool: "Pool", session: str, vm: str, host: str) -> str:
    record, there = pool.db.get("VM", vm), pool.db.get("host", host)
    if not there["enabled"]:
        raise XapiFailure("HOST_DISABLED", host)
    free = pool.db.get("host_metrics", there["metrics"])["memory_free"]
    if record["memory_static_max"] > free:
        raise XapiFailure("HOST_NOT_ENOUGH_FREE_MEMORY", str(record["memory_static_max"]), str(free))
    cpus = there["cpu_info"].get("cpu_count", "")
    if cpus.isdigit() and record["VCPUs_max"] > int(cpus):
        raise XapiFailure("HOST_NOT_ENOUGH_PCPUS", str(record["VCPUs_max"]), cpus)
    for each in record["VBDs"]:
        vdi = pool.db.get("VBD", each)["VDI"]
        if not is_null(vdi) and not pool.sees(host, pool.db.get("VDI", vdi)["SR"]):
            raise XapiFailure("VM_REQUIRES_SR", vm, pool.db.get("VDI", vdi)["SR"])
    for each in record["VIFs"]:
        network = pool.db.get("VIF", each)["network"]
        pifs = pool.db.get("network", network)["PIFs"] if pool.db.has("network", network) else None
        # One without any card is internal to each host, and can be had anywhere.
        if pifs is None or (pifs and host not in [pool.db.get("PIF", pif)["host"] for pif in pifs]):
            raise XapiFailure("VM_REQUIRES_NETWORK", vm, network)
    return ""


@message("VM.get_possible_hosts")
def possible_hosts(pool: "Pool", session: str, vm: str) -> list[str]:
    found = []
    for host in pool.hosts:
        try:
            assert_can_boot_here(pool, session, vm, host)
        except XapiFailure:
            continue
        found.append(host)
    return found


@message("VM.start")
def start(pool: "Pool", session: str, vm: str, start_paused: bool, force: bool) -> str:
    hosts = possible_hosts(pool, session, vm)
    if not hosts:
        _startable(pool, vm, "start")
        assert_can_boot_here(pool, session, vm, pool.hosts[0])
        raise XapiFailure("NO_HOSTS_AVAILABLE")
    return _start_on(pool, vm, hosts[0], start_paused, "start")


@message("VM.start_on")
def start_on(pool: "Pool", session: str, vm: str, host: str, start_paused: bool, force: bool) -> str:
    assert_can_boot_here(pool, session, vm, host)
    return _start_on(pool, vm, host, start_paused, "start_on")


def _startable(pool: "Pool", vm: str, operation: str) -> dict[str, Any]:
    record = pool.db.get("VM", vm)
    if record["is_a_template"]:
        raise XapiFailure("VM_IS_TEMPLATE", vm)
    _not_blocked(pool, vm, operation)
    _halted(pool, vm)
    firmware = record["HVM_boot_params"].get("firmware", "bios")
    model = record["platform"].get("device-model", "")
    if firmware not in ("bios", "uefi"):
        raise XapiFailure("INVALID_VALUE", "HVM_boot_params['firmware']", firmware)
    if (firmware == "bios" and model == "qemu-upstream-uefi") or (firmware == "uefi" and model == "qemu-trad"):
        raise XapiFailure("INVALID_VALUE", "platform:device-model", model)
    cores = record["platform"].get("cores-per-socket", "1")
    if record["VCPUs_max"] % int(cores):
        raise XapiFailure("VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", str(record["VCPUs_max"]), cores)
    memory = [record[f"memory_{each}"] for each in ("static_min", "dynamic_min", "dynamic_max", "static_max")]
    if memory != sorted(memory) or memory[0] <= 0:
        raise XapiFailure("MEMORY_CONSTRAINT_VIOLATION_ORDER", "")
    for each in record["VBDs"]:
        vbd = pool.db.get("VBD", each)
        if vbd["type"] == "Disk" and record["domain_type"] == "hvm" and vbd["mode"] != "RW":
            raise XapiFailure("DISK_VBD_MUST_BE_READWRITE_FOR_HVM", each)
        for other in pool.vbds_of_vdi(vbd["VDI"]).values() if not is_null(vbd["VDI"]) else ():
            owner = pool.db.get("VM", other["VM"])
            # The sharing check exempts control domains (xapi.md §1.8): a start during an import is not refused.
            if other["currently_attached"] and not owner["is_control_domain"]:
                raise XapiFailure("VDI_IN_USE", vbd["VDI"], "start")
    return record


def _start_on(pool: "Pool", vm: str, host: str, paused: bool, operation: str) -> str:
    record = _startable(pool, vm, operation)
    if pool.db.get("host", host)["license_params"].get("expiry", "9") < f"{datetime.now(UTC):%Y%m%dT%H:%M:%SZ}":
        raise XapiFailure("LICENSE_EXPIRED")
    for each in record["VBDs"]:
        pool.db.get("VBD", each)["currently_attached"] = True
    for each in record["VIFs"]:
        pool.db.get("VIF", each)["currently_attached"] = True
    metrics = pool.db.get("host_metrics", pool.db.get("host", host)["metrics"])
    metrics["memory_free"] -= record["memory_static_max"]
    record.update(
        power_state="Paused" if paused else "Running", resident_on=host, domid=int(time.time()) % 60000 + 1,
        guest_metrics=NULL,
    )  # fmt: skip
    pool.power_log.append((time.time(), record["name_label"], "Running"))
    pool.state_file.write()
    consoles.appear(pool, vm)
    guest.boot(pool, vm)
    return ""


@message("VM.hard_shutdown")
def hard_shutdown(pool: "Pool", session: str, vm: str) -> str:
    _not_blocked(pool, vm, "hard_shutdown")
    return _stop(pool, vm)


@message("VM.clean_shutdown")
def clean_shutdown(pool: "Pool", session: str, vm: str) -> str:
    _not_blocked(pool, vm, "clean_shutdown")
    return _stop(pool, vm)


def _stop(pool: "Pool", vm: str) -> str:
    record = pool.db.get("VM", vm)
    if record["power_state"] == "Halted":
        raise XapiFailure("VM_BAD_POWER_STATE", vm, "running", "halted")
    host = record["resident_on"]
    pool.db.get("host_metrics", pool.db.get("host", host)["metrics"])["memory_free"] += record["memory_static_max"]
    for each in record["VBDs"]:
        pool.db.get("VBD", each)["currently_attached"] = False
    for each in record["VIFs"]:
        pool.db.get("VIF", each)["currently_attached"] = False
    consoles.vanish(pool, vm)
    record.update(power_state="Halted", resident_on=NULL, domid=-1)
    pool.power_log.append((time.time(), record["name_label"], "Halted"))
    return ""


@message("VIF.create")
def create_vif(pool: "Pool", session: str, given: dict[str, Any]) -> str:
    values = checked_record("VIF", given)
    vm = pool.db.get("VM", values["VM"])
    pool.db.get("network", values["network"])
    if not values["device"].isdigit() or int(values["device"]) > 15:
        raise XapiFailure("INVALID_DEVICE", values["device"])
    if values["device"] in {pool.db.get("VIF", each)["device"] for each in vm["VIFs"]}:
        raise XapiFailure("DEVICE_ALREADY_EXISTS", values["device"])
    if values["MAC"] == "":
        values["MAC"] = f"0a:00:00:00:00:{int(values['device']):02x}"
    elif not _MAC.fullmatch(values["MAC"]):
        raise XapiFailure("MAC_INVALID", values["MAC"])
    ref = pool.db.add("VIF", **values)
    vm["VIFs"].append(ref)
    return ref


@message("VIF.destroy")
def destroy_vif(pool: "Pool", session: str, vif: str) -> str:
    record = pool.db.get("VIF", vif)
    if record["currently_attached"]:
        raise XapiFailure("OPERATION_NOT_ALLOWED", "VIF still attached")
    pool.db.get("VM", record["VM"])["VIFs"].remove(vif)
    pool.db.remove("VIF", vif)
    return ""
