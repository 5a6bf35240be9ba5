"""The records that a shell is made of, worked out from the order alone: nothing here talks to a pool."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from contracts.machine import Firmware, Machine, Nic, SourceDisk
from contracts.names import SOURCE_DISK_KEY, SOURCE_MACHINE_KEY
from contracts.steps import VHD_MOST, Errand, ShellOrder
from platforms.xapi.marks import DISKS_KEY, WRITTEN_KEY, as_other_config
from platforms.xapi.wire import NULL

CD_DEVICE = "3"
"""The fourth of the emulated IDE positions: XO keeps it for the CD drive (xapi.md §3.4)."""
BLOCKED = ("start", "start_on", "resume", "resume_on")
BLOCKED_BY = "Ferry "
"""How our reasons begin: blocks of others are left alone."""
GOING_BACK = f"{BLOCKED_BY}goes back to the source: this VM must not run"
_DEVICE_MODEL = {Firmware.BIOS: "qemu-upstream-compat", Firmware.UEFI: "qemu-upstream-uefi"}
_PLATFORM = {"nx": "true", "acpi": "1", "apic": "true", "pae": "true", "hpet": "true", "timeoffset": "0"}
_NOT_INHERITED = ("cores-per-socket", "vtpm", "acpi_laptop_slate")
_LVM = ("lvm", "lvmoiscsi", "lvmohba")


TEST_COPY = " (test copy)"
"""How the name of a VM ends whose source was not stopped."""


def block_text(errand: Errand) -> str:
    """What somebody reads who tries to start the VM too early."""
    return f"{BLOCKED_BY}is still copying {errand.vm} (workflow {errand.workflow})"


def vm_record(order: ShellOrder, template: Mapping[str, Any]) -> dict[str, Any]:
    """For VM.create, with the template's values (xapi.md §3.1).

    Created, and not cloned, so that the mark is there from the first moment: a clone whose maker dies before
    marking it would belong to nobody. And a template's own disks are never provisioned.
    """
    machine = order.machine
    memory = str(machine.memory)
    return {
        "name_label": f"{machine.name}{TEST_COPY}" if order.test_copy else machine.name,
        "name_description": machine.description,
        "tags": sorted(machine.tags),
        "user_version": "1",
        "is_a_template": False,
        "affinity": NULL,
        # All equal: no ballooning under a guest that has no drivers for it yet (xapi.md §3.7).
        "memory_static_min": memory,
        "memory_dynamic_min": memory,
        "memory_dynamic_max": memory,
        "memory_static_max": memory,
        "VCPUs_params": dict(template["VCPUs_params"]),
        "VCPUs_max": str(machine.cpus),
        "VCPUs_at_startup": str(machine.cpus),
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "restart",
        "PV_bootloader": "",
        "PV_kernel": "",
        "PV_ramdisk": "",
        "PV_args": "",
        "PV_bootloader_args": "",
        "PV_legacy_args": "",
        "HVM_boot_policy": template["HVM_boot_policy"] or "BIOS order",
        "HVM_boot_params": {"order": "cdn", "firmware": machine.firmware.value},
        "HVM_shadow_multiplier": float(template["HVM_shadow_multiplier"] or 1.0),
        "domain_type": "hvm",
        "platform": platform(machine, template["platform"]),
        "PCI_bus": "",
        "recommendations": template["recommendations"],
        "has_vendor_device": False,
        "other_config": {
            **as_other_config(order.errand.mark(order.epoch)),
            "base_template_name": template["name_label"],
            DISKS_KEY: str(len(machine.disks)),
            **({SOURCE_MACHINE_KEY: machine.machine_id} if order.errand.read_only else {}),
        },
    }


def platform(machine: Machine, inherited: Mapping[str, str]) -> dict[str, str]:
    """The template's platform with what the machine dictates; the device model goes with the firmware (§3.3)."""
    chosen = {**_PLATFORM, **inherited}
    for key in _NOT_INHERITED:
        chosen.pop(key, None)
    chosen["device-model"] = _DEVICE_MODEL[machine.firmware]
    chosen["secureboot"] = "false"
    if machine.guest_os.lower().startswith("win"):
        chosen["viridian"] = "true"
    elif machine.guest_os:
        chosen["viridian"] = "false"
    if machine.cores_per_socket > 1 and machine.cpus % machine.cores_per_socket == 0:
        chosen["cores-per-socket"] = str(machine.cores_per_socket)
    return chosen


def vif_record(order: ShellOrder, vm: str, device: str, nic: Nic, network: str, mtu: str) -> dict[str, Any]:
    """For VIF.create. A card that was not connected stays silent: all its traffic is dropped."""
    return {
        "device": device,
        "network": network,
        "VM": vm,
        "MAC": nic.mac,
        "MTU": mtu,
        "other_config": as_other_config(order.errand.mark(order.epoch)),
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
        "locking_mode": "network_default" if nic.connected_at_start else "disabled",
    }


def vdi_record(order: ShellOrder, sr: str, disk: SourceDisk) -> dict[str, Any]:
    """For VDI.create. The SR may round the size up; ``sm_config`` is its own affair (xapi.md §3.5)."""
    return {
        "name_label": f"{order.machine.name} / {disk.slot}",
        "name_description": f"made by Ferry for {order.errand.workflow}",
        "SR": sr,
        "virtual_size": str(disk.capacity),
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {**as_other_config(order.errand.mark(order.epoch)), SOURCE_DISK_KEY: disk.disk_id},
        "xenstore_data": {},
        "sm_config": {"image-format": "qcow2"} if disk.capacity > VHD_MOST else {},
        "tags": [],
    }


def disk_vbd_record(vm: str, vdi: str, device: str, *, bootable: bool) -> dict[str, Any]:
    """For VBD.create of a disk. ``owner``: clients that delete the VM with its disks delete this one too."""
    return _vbd(vm, vdi, device, mode="RW", kind="Disk", bootable=bootable, other_config={"owner": ""})


def cd_vbd_record(vm: str) -> dict[str, Any]:
    """For VBD.create of an empty CD drive."""
    return _vbd(vm, NULL, CD_DEVICE, mode="RO", kind="CD", bootable=False, other_config={})


def _vbd(
    vm: str, vdi: str, device: str, *, mode: str, kind: str, bootable: bool, other_config: dict[str, str]
) -> dict[str, Any]:
    return {
        "VM": vm,
        "VDI": vdi,
        "userdevice": device,
        "bootable": bootable,
        "mode": mode,
        "type": kind,
        "unpluggable": True,
        "empty": vdi == NULL,
        "other_config": other_config,
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }


def disk_devices(disks: int) -> list[str]:
    """``userdevice`` of each disk, in order: 0, 1, 2, 4, … with the CD drive's left out."""
    numbers = (str(each) for each in count() if str(each) != CD_DEVICE)
    return [next(numbers) for _ in range(disks)]


def is_prezeroed(sr: Mapping[str, Any], vdi: Mapping[str, Any]) -> bool:
    """Whether a VDI of that SR reads as zeros where nothing was written (xapi.md §1.9).

    One that may have been written is not, whatever its SR (SAFETY 5).
    """
    if WRITTEN_KEY in vdi["other_config"]:
        return False
    if sr["type"] in _LVM:
        return bool(vdi["sm_config"].get("type") != "raw" and sr["sm_config"].get("use_vhd") == "true")
    if sr["type"] == "equal":
        return bool(sr["sm_config"].get("allocation") != "thick")
    return bool(sr["type"] != "cslg")
