"""What a preflight wants to know of a machine besides its inventory. Pure: no calls are made here."""

from typing import Any

from pyVmomi import vim

from contracts.machine import Machine
from contracts.machine_facts import DeviceFacts, GuestFacts, GuestVolume, SettingFacts, SnapshotFacts, Tools
from platforms.vsphere.inventory import extra_config, migration_of

DETAIL_PATHS = (
    "config.hardware.device", "config.extraConfig", "config.template", "config.cpuHotAddEnabled",
    "config.memoryHotAddEnabled", "config.cpuAffinity", "config.cpuAllocation", "config.memoryAllocation",
    "config.latencySensitivity", "config.nestedHVEnabled", "config.flags", "config.ftInfo", "config.repConfig",
    "config.managedBy", "config.vAppConfig", "config.keyId", "config.bootOptions", "parentVApp", "runtime.question",
    "guest.guestId", "guest.toolsVersionStatus2", "guest.toolsVersion", "guest.toolsRunningStatus", "guest.hostName",
    "guest.ipAddress", "guest.net", "guest.disk", "snapshot.rootSnapshotList",
)  # fmt: skip
"""All known to the oldest version that is spoken (6.5)."""

MOST_TOLD = 64
"""Of volumes, addresses and the like: what a guest tells of itself is bounded, since it stays in the history."""

_TOOLS = {
    "guestToolsNotInstalled": Tools.NONE,
    "guestToolsCurrent": Tools.CURRENT, "guestToolsSupportedNew": Tools.CURRENT, "guestToolsTooNew": Tools.CURRENT,
    "guestToolsNeedUpgrade": Tools.OLD, "guestToolsSupportedOld": Tools.OLD,
    "guestToolsTooOld": Tools.TOO_OLD, "guestToolsBlacklisted": Tools.TOO_OLD,
    "guestToolsUnmanaged": Tools.UNMANAGED,
}  # fmt: skip
"""``vim.vm.GuestInfo.ToolsVersionStatus``; unmanaged: not VMware's package, which is how open-vm-tools show."""


def with_details(machine: Machine, properties: dict[str, Any], unreachable: set[str]) -> Machine:
    """The machine with all that :data:`DETAIL_PATHS` tells.

    Args:
        unreachable: names of the datastores that do not answer.
    """
    devices = list(properties.get("config.hardware.device") or [])
    return machine.model_copy(
        update={
            "guest": _guest(properties),
            "devices": _devices(devices),
            "settings": _settings(properties),
            "snapshots": tuple(_snapshots(properties)),
            "disks": tuple(
                disk.model_copy(update={"inaccessible": disk.datastore in unreachable}) for disk in machine.disks
            ),
        }
    )


def _guest(properties: dict[str, Any]) -> GuestFacts:
    running = properties.get("guest.toolsRunningStatus") == "guestToolsRunning"
    addresses = [str(properties["guest.ipAddress"])] if properties.get("guest.ipAddress") else []
    for nic in properties.get("guest.net") or []:
        addresses += [str(each) for each in nic.ipAddress or []]
    return GuestFacts(
        os=str(properties.get("guest.guestId") or ""),
        tools=_TOOLS.get(str(properties.get("guest.toolsVersionStatus2") or ""), Tools.UNKNOWN),
        tools_version=str(properties.get("guest.toolsVersion") or ""),
        hostname=str(properties.get("guest.hostName") or "") if running else None,
        addresses=tuple(dict.fromkeys(addresses))[:MOST_TOLD] if running else None,
        volumes=tuple(
            GuestVolume(
                path=str(each.diskPath or ""),
                capacity=each.capacity,
                free=each.freeSpace,
                disk_keys=tuple(told.key for told in each.mappings) if each.mappings else None,
            )
            for each in (properties.get("guest.disk") or [])[:MOST_TOLD]
        ),
    )


def _devices(devices: list[Any]) -> DeviceFacts:
    of: Any = vim.vm.device

    def named(*kinds: Any) -> tuple[str, ...]:
        return tuple(_label(each) for each in devices if isinstance(each, kinds))

    passed = [each for each in devices if isinstance(each, of.VirtualPCIPassthrough)]
    vgpus = [each for each in passed if isinstance(each.backing, of.VirtualPCIPassthrough.VmiopBackingInfo)]
    return DeviceFacts(
        passthrough=tuple(_label(each) for each in passed if each not in vgpus) + named(of.VirtualSCSIPassthrough),
        vgpu=tuple(str(each.backing.vgpu or _label(each)) for each in vgpus),
        usb=named(of.VirtualUSB),
        tpm=bool(named(of.VirtualTPM)),
        memory_modules=named(of.VirtualNVDIMM),
        ports=named(of.VirtualSerialPort, of.VirtualParallelPort, of.VirtualFloppy),
        clocks=named(of.VirtualWDT, of.VirtualPrecisionClock),
        host_cdrom=any(
            isinstance(each, of.VirtualCdrom)
            and isinstance(each.backing, of.VirtualCdrom.AtapiBackingInfo | of.VirtualCdrom.PassthroughBackingInfo)
            for each in devices
        ),
    )


def _label(device: Any) -> str:
    return str(device.deviceInfo.label) if device.deviceInfo is not None else type(device).__name__.rpartition(".")[2]


def _settings(properties: dict[str, Any]) -> SettingFacts:
    def told(path: str, *names: str) -> Any:
        value = properties.get(f"config.{path}")
        for name in names:
            value = getattr(value, name, None)
        return value

    order = list(told("bootOptions", "bootOrder") or [])
    first = order[0] if order else None
    bootable: Any = vim.vm.BootOptions
    vapp = properties.get("parentVApp")
    return SettingFacts(
        template=bool(told("template")),
        cpu_hot_add=bool(told("cpuHotAddEnabled")),
        memory_hot_add=bool(told("memoryHotAddEnabled")),
        cpu_affinity=tuple(told("cpuAffinity", "affinitySet") or ()),
        numa_affinity=extra_config(properties).get("numa.nodeAffinity", ""),
        cpu_reservation=told("cpuAllocation", "reservation") or 0,
        memory_reservation=(told("memoryAllocation", "reservation") or 0) << 20,
        latency=str(told("latencySensitivity", "level") or ""),
        nested=bool(told("nestedHVEnabled")),
        vbs=bool(told("flags", "vbsEnabled")),
        fault_tolerant=told("ftInfo") is not None,
        replicated=told("repConfig") is not None,
        managed_by=str(told("managedBy", "extensionKey") or ""),
        vapp=vapp._moId if vapp is not None else "",
        vapp_properties=tuple(str(each.id or each.label or each.key) for each in told("vAppConfig", "property") or ()),
        encrypted_home=told("keyId") is not None,
        disk_serials=bool(told("flags", "diskUuidEnabled")),
        question=str(properties["runtime.question"].text) if properties.get("runtime.question") is not None else "",
        boot_disk=first.deviceKey if isinstance(first, bootable.BootableDiskDevice) else None,
        boots_from_network=isinstance(first, bootable.BootableEthernetDevice),
    )


def _snapshots(properties: dict[str, Any]) -> list[SnapshotFacts]:
    """Of other people: nobody counts ours against a machine."""
    found: list[SnapshotFacts] = []

    def walk(level: Any, depth: int) -> None:
        for each in level or []:
            if migration_of(each) is None:
                found.append(
                    SnapshotFacts(ref=each.snapshot._moId, name=each.name, created=each.createTime, depth=depth)
                )
            walk(each.childSnapshotList, depth + 1)

    walk(properties.get("snapshot.rootSnapshotList"), 1)
    return found
