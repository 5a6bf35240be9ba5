"""A machine in our words, from vSphere's properties. Pure: no calls are made here."""

import json
import re
from typing import Any

from pyVmomi import vim

from contracts.machine import Firmware, Machine, MachineSummary, Nic, OwnerMark, Power, SourceDisk
from contracts.names import OwnerKey

PATHS = (
    "name", "config.instanceUuid", "config.uuid", "config.firmware", "config.bootOptions", "config.guestId",
    "config.guestFullName", "config.annotation", "config.extraConfig", "config.changeTrackingEnabled",
    "config.template", "config.changeVersion", "runtime.host",
    "config.hardware.device", "config.hardware.numCPU", "config.hardware.numCoresPerSocket", "config.hardware.memoryMB",
    "capability.changeTrackingSupported", "runtime.powerState", "runtime.connectionState",
    "runtime.consolidationNeeded", "guest.toolsRunningStatus", "snapshot.rootSnapshotList",
)  # fmt: skip
SUMMARY_PATHS = (
    "name", "config.instanceUuid", "config.guestFullName", "config.hardware.numCPU", "config.hardware.memoryMB",
    "config.hardware.device", "config.changeTrackingEnabled", "config.extraConfig", "runtime.powerState",
    "snapshot.rootSnapshotList", "config.template",
)  # fmt: skip

SNAPSHOT_PREFIX = "ferry-"
POWER = {"poweredOn": Power.ON, "poweredOff": Power.OFF, "suspended": Power.SUSPENDED}
_CONTROLLERS = (
    (vim.vm.device.VirtualSATAController, "sata", 0),
    (vim.vm.device.VirtualIDEController, "ide", 1),
    (vim.vm.device.VirtualSCSIController, "scsi", 2),
    (vim.vm.device.VirtualNVMEController, "nvme", 3),
)
"""In the order in which VMware boots from them (vsphere.md §4)."""

_RAW = (
    vim.vm.device.VirtualDisk.RawDiskMappingVer1BackingInfo,
    vim.vm.device.VirtualDisk.RawDiskVer2BackingInfo,
    vim.vm.device.VirtualDisk.PartitionedRawDiskVer2BackingInfo,
)


def machine_of(
    source: str, ref: Any, properties: dict[str, Any], stores: dict[str, str], networks: dict[str, str], host: str = ""
) -> Machine:
    """Everything that the migration must know.

    Args:
        properties: of :data:`PATHS`.
        stores: datastore name to its type.
        networks: key of a distributed port group, or id of an opaque network, to its name.
        host: name of the host that it is on.
    """
    devices = list(properties.get("config.hardware.device") or [])
    extra = extra_config(properties)
    ours, foreign = snapshot_names(properties)
    boot = properties.get("config.bootOptions")
    cdroms = [each for each in devices if isinstance(each, vim.vm.device.VirtualCdrom)]
    isos = [
        each.backing.fileName for each in cdroms
        if isinstance(each.backing, vim.vm.device.VirtualCdrom.IsoBackingInfo) and each.backing.fileName
    ]  # fmt: skip
    return Machine(
        source=source,
        machine_id=properties["config.instanceUuid"],
        ref=ref._moId,
        name=properties["name"],
        power=POWER[properties["runtime.powerState"]],
        firmware=Firmware.UEFI if properties.get("config.firmware") == "efi" else Firmware.BIOS,
        secure_boot=bool(boot is not None and boot.efiSecureBootEnabled),
        bios_uuid=properties.get("config.uuid") or "",
        cpus=properties["config.hardware.numCPU"],
        cores_per_socket=properties.get("config.hardware.numCoresPerSocket") or 1,
        memory=properties["config.hardware.memoryMB"] << 20,
        guest_os=properties.get("config.guestId") or "",
        guest_name=properties.get("config.guestFullName") or "",
        tools_running=properties.get("guest.toolsRunningStatus") == "guestToolsRunning",
        description=properties.get("config.annotation") or "",
        host=host,
        has_cdrom=bool(cdroms),
        mounted_iso=isos[0] if isos else None,
        nics=tuple(nics_of(devices, networks)),
        disks=tuple(disks_of(devices, stores)),
        foreign_snapshots=tuple(foreign),
        our_snapshots=tuple(ours),
        change_tracking=bool(properties.get("config.changeTrackingEnabled")),
        change_tracking_supported=bool(properties.get("capability.changeTrackingSupported")),
        needs_consolidation=bool(properties.get("runtime.consolidationNeeded")),
        owner=owner_of(extra),
    )


def summary_of(ref: Any, properties: dict[str, Any]) -> MachineSummary:
    """One line of the inventory."""
    disks = [
        each for each in properties.get("config.hardware.device") or []
        if isinstance(each, vim.vm.device.VirtualDisk)
    ]  # fmt: skip
    owner = owner_of(extra_config(properties))
    ours, foreign = snapshot_names(properties)
    return MachineSummary(
        name=properties["name"],
        machine_id=properties["config.instanceUuid"],
        ref=ref._moId,
        power=POWER[properties["runtime.powerState"]],
        guest_name=properties.get("config.guestFullName") or "",
        cpus=properties.get("config.hardware.numCPU") or 0,
        memory=(properties.get("config.hardware.memoryMB") or 0) << 20,
        disks=len(disks),
        capacity=sum(capacity_of(disk) for disk in disks),
        change_tracking=bool(properties.get("config.changeTrackingEnabled")),
        snapshots=len(ours) + len(foreign),
        owner=owner.workflow if owner is not None else None,
    )


def extra_config(properties: dict[str, Any]) -> dict[str, str]:
    """``extraConfig`` as a dict."""
    return {each.key: str(each.value) for each in properties.get("config.extraConfig") or []}


def owner_of(extra: dict[str, str]) -> OwnerMark | None:
    """The owner mark, if there is one (SAFETY 12)."""
    migration = extra.get(OwnerKey.MIGRATION, "")
    if not migration:
        return None
    epoch = extra.get(OwnerKey.EPOCH, "0")
    return OwnerMark(
        migration=migration, workflow=extra.get(OwnerKey.WORKFLOW, ""), epoch=int(epoch) if epoch.isdigit() else 0
    )


def snapshots_of(properties: dict[str, Any]) -> list[Any]:
    """All nodes of the snapshot tree, parents first."""
    found: list[Any] = []

    def walk(level: Any) -> None:
        for each in level or []:
            found.append(each)
            walk(each.childSnapshotList)

    walk(properties.get("snapshot.rootSnapshotList"))
    return found


def migration_of(snapshot: Any) -> str | None:
    """Which migration made a snapshot, by its name and description; None for other people's."""
    if not snapshot.name.startswith(SNAPSHOT_PREFIX):
        return None
    try:
        told = json.loads(snapshot.description)
        return str(told["migration"])
    except (ValueError, KeyError, TypeError):
        return None


def is_final(snapshot: Any) -> bool:
    """Whether one of ours was taken of a machine that was off for good."""
    return bool(json.loads(snapshot.description).get("final"))


def snapshot_names(properties: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Names of Ferry's snapshots, and of everybody else's."""
    ours: list[str] = []
    foreign: list[str] = []
    for each in snapshots_of(properties):
        (foreign if migration_of(each) is None else ours).append(each.name)
    return ours, foreign


def nics_of(devices: list[Any], networks: dict[str, str]) -> list[Nic]:
    """In the order of their keys; a MAC set by hand is as good as any."""
    cards = sorted(
        (each for each in devices if isinstance(each, vim.vm.device.VirtualEthernetCard)), key=lambda each: each.key
    )
    return [
        Nic(
            index=index,
            mac=card.macAddress,
            network=_network_of(card, networks),
            label=card.deviceInfo.label if card.deviceInfo is not None else "",
            connected_at_start=bool(card.connectable is not None and card.connectable.startConnected),
            kind=_kind_of(card),
            mac_set_by_hand=card.addressType == "manual",
        )
        for index, card in enumerate(cards)
    ]


def _kind_of(card: Any) -> str:
    """``vmxnet3``, ``sriov`` and so on: the class without its ornaments."""
    name = type(card).__name__.rpartition(".")[2]
    return name.removeprefix("Virtual").removesuffix("EthernetCard").lower()


def far_network(device: Any) -> str:
    """The key or id of a NIC's network that is named elsewhere; empty for one that names itself."""
    backing = getattr(device, "backing", None)
    if isinstance(backing, vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo):
        return str(backing.port.portgroupKey or "")
    if isinstance(backing, vim.vm.device.VirtualEthernetCard.OpaqueNetworkBackingInfo):
        return str(backing.opaqueNetworkId)
    return ""


def _network_of(card: Any, networks: dict[str, str]) -> str:
    far = far_network(card)
    return networks.get(far, far) if far else str(getattr(card.backing, "deviceName", None) or "")


def disks_of(devices: list[Any], stores: dict[str, str]) -> list[SourceDisk]:
    """In the order in which VMware finds them: kind of controller, bus, unit."""
    places = {device.key: place for device in devices if (place := _controller_place(device)) is not None}
    shared = {
        each.key for each in devices
        if isinstance(each, vim.vm.device.VirtualSCSIController) and each.sharedBus not in (None, "noSharing")
    }  # fmt: skip
    found: list[tuple[tuple[int, int, int], SourceDisk]] = []
    for disk in devices:
        if not isinstance(disk, vim.vm.device.VirtualDisk):
            continue
        order, name, bus = places.get(disk.controllerKey, (9, "unknown", 0))
        backing: Any = disk.backing
        store = datastore_of(getattr(backing, "fileName", ""))
        unit = disk.unitNumber or 0
        slot = f"{name}{bus}:{unit}"
        uuid = str(getattr(backing, "uuid", None) or "")
        found.append(
            (
                (order, bus, disk.unitNumber or 0),
                SourceDisk(
                    disk_id=disk_id_of(disk.key, uuid, slot),
                    key=disk.key,
                    backing_uuid=uuid,
                    slot=slot,
                    capacity=capacity_of(disk),
                    datastore=store,
                    datastore_type=stores.get(store, ""),
                    file=str(getattr(backing, "fileName", "")),
                    thin=bool(getattr(backing, "thinProvisioned", False)),
                    change_tracked=bool(getattr(backing, "changeId", None)),
                    obstacle=_obstacle(backing, bus_is_shared=disk.controllerKey in shared),
                    sector=4096 if disk.virtualDiskFormat == "native_4k" else 512,
                    delta=getattr(backing, "parent", None) is not None,
                    managed_volume=disk.vDiskId.id if disk.vDiskId is not None else "",
                ),
            )
        )
    return [disk for _, disk in sorted(found, key=lambda pair: pair[0])]


def disk_id_of(key: int, uuid: str, slot: str) -> str:
    """Device key, backing uuid and controller:unit in one word that is fit for a file name."""
    return re.sub(r"[^A-Za-z0-9.-]", ".", f"{key}-{uuid or 'none'}-{slot}")


def capacity_of(disk: Any) -> int:
    """Bytes; old hosts tell KiB only."""
    return int(disk.capacityInBytes or disk.capacityInKB * 1024)


def datastore_of(path: str) -> str:
    """``nfs1`` of ``[nfs1] web01/web01.vmdk``."""
    match = re.match(r"\[([^\]]*)\]", path)
    return match[1] if match else ""


def _controller_place(device: Any) -> tuple[int, str, int] | None:
    for kind, name, order in _CONTROLLERS:
        if isinstance(device, kind):
            return order, name, device.busNumber
    return None


def _obstacle(backing: Any, *, bus_is_shared: bool) -> str | None:
    if isinstance(backing, _RAW):
        return "preflight.rdm_disk"
    if bus_is_shared or getattr(backing, "sharing", None) == "sharingMultiWriter":
        return "preflight.multi_writer_disk"
    if str(getattr(backing, "diskMode", "persistent")).startswith("independent"):
        return "preflight.independent_disk"
    if getattr(backing, "keyId", None) is not None:
        return "preflight.encrypted_disk"
    return None
