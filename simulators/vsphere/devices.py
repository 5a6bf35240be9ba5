"""A machine's virtual hardware in vSphere's types."""

from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from simulators.vsphere import soap
from simulators.vsphere.oddities import odd_devices

if TYPE_CHECKING:
    from simulators.vsphere.machine import Machine

_CONTROLLERS = {
    "scsi": vim.vm.device.ParaVirtualSCSIController,
    "ide": vim.vm.device.VirtualIDEController,
    "sata": vim.vm.device.VirtualAHCIController,
    "nvme": vim.vm.device.VirtualNVMEController,
}
_NICS = {
    "vmxnet3": vim.vm.device.VirtualVmxnet3,
    "e1000": vim.vm.device.VirtualE1000,
    "e1000e": vim.vm.device.VirtualE1000e,
    "sriov": vim.vm.device.VirtualSriovEthernetCard,
}


def devices_of(machine: "Machine") -> list[Any]:
    """Controllers, disks, NICs, the CD drive."""
    devices: list[Any] = []
    for name in sorted({disk.controller for disk in machine.said.disks} | {"ide0"}):
        kind, bus = name[:-1], int(name[-1])
        key = {"scsi": 1000, "ide": 200, "sata": 15000, "nvme": 31000}[kind] + bus
        controller = _CONTROLLERS[kind](key=key, busNumber=bus)
        if kind == "scsi":
            controller.sharedBus = "noSharing"
            controller.hotAddRemove, controller.scsiCtlrUnitNumber = True, 7
        devices.append(soap.complete(controller))
    devices += [_disk(machine, number) for number in range(len(machine.disks))]
    devices += [_nic(machine, number) for number in range(len(machine.said.nics))]
    devices.append(_cdrom(machine))
    return devices + odd_devices(machine)


def _disk(machine: "Machine", number: int) -> Any:
    disk, said = machine.disks[number], machine.said.disks[number]
    if said.rdm is not None:
        backing: Any = vim.vm.device.VirtualDisk.RawDiskMappingVer1BackingInfo(
            fileName=machine.path(number, disk.leaf.descriptor), compatibilityMode=f"{said.rdm}Mode",
            diskMode=said.mode, uuid=disk.backing_uuid, lunUuid="0200", deviceName="vml.0200",
        )  # fmt: skip
    else:
        backing = _flat(machine, number, len(disk.links) - 1)
        backing.diskMode, backing.sharing, backing.thinProvisioned = said.mode, said.sharing, True
        if said.encrypted:
            backing.keyId = soap.complete(vim.encryption.CryptoKeyId(keyId="key-1"))
    if disk.tracking is not None:
        backing.changeId = disk.tracking.current()
    more: dict[str, Any] = {"virtualDiskFormat": "native_4k" if said.sector == 4096 else "native_512"}
    if said.first_class:
        more["vDiskId"] = vim.vslm.ID(id=f"fcd-{disk.backing_uuid}")
    return soap.complete(
        vim.vm.device.VirtualDisk(
            **more,
            key=machine.disk_key(number), controllerKey=machine.controller_key(number), unitNumber=said.unit,
            capacityInKB=disk.capacity // 1024, capacityInBytes=disk.capacity, backing=backing,
            deviceInfo=vim.Description(label=f"Hard disk {number + 1}", summary=f"{disk.capacity // 1024} KB"),
        )
    )  # fmt: skip


def _flat(machine: "Machine", number: int, link: int) -> Any:
    disk = machine.disks[number]
    store = machine.world.datastore(machine.said.disks[number].datastore)
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName=machine.path(number, disk.links[link].descriptor), datastore=store.ref, uuid=disk.backing_uuid,
        contentId=disk.links[link].content_id, diskMode="persistent", thinProvisioned=True,
    )  # fmt: skip
    if link:
        backing.parent = _flat(machine, number, link - 1)
    return backing


def _nic(machine: "Machine", number: int) -> Any:
    said = machine.said.nics[number]
    network = machine.world.network(said.network)
    key = 4000 + number
    connected = machine.start_connected[key]
    return soap.complete(
        _NICS[said.type](
            key=key, controllerKey=100, unitNumber=7 + number, macAddress=said.mac, addressType=said.mac_type,
            backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName=said.network, network=network),
            connectable=soap.complete(
                vim.vm.device.VirtualDevice.ConnectInfo(
                    startConnected=connected, allowGuestControl=True, connected=machine.power == "poweredOn",
                )
            ),
            deviceInfo=vim.Description(label=f"Network adapter {number + 1}", summary=said.network),
        )
    )  # fmt: skip


def _cdrom(machine: "Machine") -> Any:
    iso = machine.cdrom
    backing: Any = (
        vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName=iso)
        if iso
        else vim.vm.device.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", exclusive=False)
    )
    return soap.complete(
        vim.vm.device.VirtualCdrom(
            key=3002, controllerKey=200, unitNumber=0, backing=backing,
            connectable=soap.complete(
                vim.vm.device.VirtualDevice.ConnectInfo(
                    startConnected=bool(iso), allowGuestControl=True, connected=bool(iso)
                )
            ),
            deviceInfo=vim.Description(label="CD/DVD drive 1", summary=iso or "Remote device"),
        )
    )  # fmt: skip
