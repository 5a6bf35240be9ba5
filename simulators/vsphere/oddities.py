"""Odd devices and settings of a machine in vSphere's types (``simulators.extras`` says which there are)."""

from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from simulators.vsphere import soap

if TYPE_CHECKING:
    from simulators.vsphere.machine import Machine
    from simulators.vsphere.world import World

_of: Any = vim.vm.device
_PASSED: Any = _of.VirtualPCIPassthrough
_LABELS = {
    "pci": "PCI device 0", "vgpu": "PCI device 1", "usb": "USB device 1", "tpm": "Virtual TPM", "nvdimm": "NVDIMM 1",
    "serial": "Serial port 1", "parallel": "Parallel port 1", "floppy": "Floppy drive 1", "watchdog": "Watchdog timer",
    "precision-clock": "Precision clock", "host-cdrom": "CD/DVD drive 2",
}  # fmt: skip


def odd_devices(machine: "Machine") -> list[Any]:
    """Each with its label, as the client lists it."""
    made = []
    for number, name in enumerate(machine.said.devices):
        device = _made(name)
        device.key, device.controllerKey = 13000 + number, 100
        device.deviceInfo = vim.Description(label=_LABELS[name], summary=_LABELS[name])
        made.append(soap.complete(device))
    return made


def _made(name: str) -> Any:
    if name == "pci":
        return _PASSED(
            backing=_PASSED.DeviceBackingInfo(
                deviceName="", id="0000:3b:00.0", deviceId="1eb8", systemId="6493-1", vendorId=4318
            )
        )
    if name == "vgpu":
        return _PASSED(backing=_PASSED.VmiopBackingInfo(vgpu="grid_t4-4q"))
    if name == "usb":
        return _of.VirtualUSB(
            connected=True, vendor=0x0529, product=1,
            backing=_of.VirtualUSB.RemoteHostBackingInfo(deviceName="path:1/0/3", hostname="esx1"),
        )  # fmt: skip
    if name == "tpm":
        return _of.VirtualTPM()
    if name == "nvdimm":
        return _of.VirtualNVDIMM(capacityInMB=4096, configuredCapacityInMB=4096)
    if name == "serial":
        return _of.VirtualSerialPort(
            yieldOnPoll=True,
            backing=_of.VirtualSerialPort.URIBackingInfo(serviceURI="telnet://:7001", direction="server"),
        )
    if name == "parallel":
        return _of.VirtualParallelPort(backing=_of.VirtualParallelPort.FileBackingInfo(fileName="[nfs1] lpt.txt"))
    if name == "floppy":
        return _of.VirtualFloppy(backing=_of.VirtualFloppy.RemoteDeviceBackingInfo(deviceName=""))
    if name == "watchdog":
        return _of.VirtualWDT(runOnBoot=False, running=False)
    if name == "precision-clock":
        return _of.VirtualPrecisionClock()
    return _of.VirtualCdrom(backing=_of.VirtualCdrom.AtapiBackingInfo(deviceName="/vmfs/devices/cdrom/mpx.vmhba0"))


def odd_config(machine: "Machine", config: Any) -> None:
    """Put the odd settings onto a ``ConfigInfo``; what is not said stays unset, as vSphere leaves it."""
    said = machine.said.settings
    config.cpuHotAddEnabled, config.memoryHotAddEnabled = said.cpu_hot_add, said.memory_hot_add
    config.nestedHVEnabled = said.nested
    config.flags = soap.complete(vim.vm.FlagInfo(vbsEnabled=said.vbs, diskUuidEnabled=said.disk_serials))
    config.latencySensitivity = vim.LatencySensitivity(level=said.latency)
    config.cpuAllocation = vim.ResourceAllocationInfo(reservation=said.cpu_reservation_mhz)
    config.memoryAllocation = vim.ResourceAllocationInfo(reservation=said.memory_reservation_mib)
    config.bootOptions = vim.vm.BootOptions(efiSecureBootEnabled=said.secure_boot, bootOrder=_order(machine))
    if said.cpu_affinity:
        config.cpuAffinity = vim.vm.AffinityInfo(affinitySet=said.cpu_affinity)
    if said.fault_tolerant:
        config.ftInfo = vim.vm.FaultToleranceConfigInfo(
            role=1, instanceUuids=[machine.instance_uuid], configPaths=[config.files.vmPathName]
        )
    if said.replicated:
        config.repConfig = soap.complete(vim.vm.ReplicationConfigSpec(vmReplicationId="GID-1", destination="dr"))
    if said.managed_by:
        config.managedBy = vim.ext.ManagedByInfo(extensionKey=said.managed_by, type="appliance")
    if said.encrypted_home:
        config.keyId = soap.complete(vim.encryption.CryptoKeyId(keyId="key-1"))
    if said.vapp_properties:
        config.vAppConfig = soap.complete(
            vim.vApp.VmConfigInfo(
                property=[
                    vim.vApp.PropertyInfo(key=number, id=name, value=value)
                    for number, (name, value) in enumerate(said.vapp_properties.items())
                ],
                ovfEnvironmentTransport=["com.vmware.guestInfo"],
            )
        )


def _order(machine: "Machine") -> list[Any]:
    boot = machine.said.settings.boot
    if boot is None:
        return []
    if boot == "network":
        return [vim.vm.BootOptions.BootableEthernetDevice(deviceKey=4000)]
    return [vim.vm.BootOptions.BootableDiskDevice(deviceKey=machine.disk_key(boot))]


def question_of(machine: "Machine") -> Any:
    """``runtime.question``: what the host waits to be answered."""
    text = machine.question
    if not text:
        return None
    choice = vim.option.ChoiceOption(
        valueIsReadonly=False, defaultIndex=0,
        choiceInfo=[vim.ElementDescription(key="0", label="I Copied It", summary="I Copied It")],
    )  # fmt: skip
    return soap.complete(vim.vm.QuestionInfo(id="q-1", text=text, choice=choice))


def guest_tells(machine: "Machine", told: Any) -> None:
    """What only running tools know: name, addresses, file systems; nothing of a machine that is off."""
    said = machine.said.guest
    if not machine.tools_running:
        return
    told.guestId = said.os or machine.said.guest_id
    told.hostName = machine.name if said.hostname is None else said.hostname
    if said.address:
        told.ipAddress = said.address
        told.net = [
            soap.complete(vim.vm.GuestInfo.NicInfo(ipAddress=[said.address], connected=True, deviceConfigId=4000))
        ]
    told.disk = [
        vim.vm.GuestInfo.DiskInfo(
            diskPath=each.path, capacity=int(each.capacity_mib * (1 << 20)), freeSpace=int(each.free_mib * (1 << 20)),
            mappings=(
                [vim.vm.GuestInfo.VirtualDiskMapping(key=machine.disk_key(each.disk))] if each.disk is not None else []
            ),
        )
        for each in said.volumes
    ]  # fmt: skip


def cluster_rules(world: "World") -> dict[str, list[Any]]:
    """``rule`` and ``group`` of the cluster's ``configurationEx``."""
    said = world.said.cluster
    groups: list[Any] = []
    rules: list[Any] = []
    for number, rule in enumerate(said.rules if said is not None else []):
        refs = [world.vm(name).ref for name in rule.vms]
        common = {"key": number, "name": rule.name, "enabled": rule.enabled, "userCreated": True, "mandatory": False}
        if rule.kind == "hosts":
            groups += [
                vim.cluster.VmGroup(name=f"{rule.name} vms", vm=refs),
                vim.cluster.HostGroup(name=f"{rule.name} hosts", host=[world.host]),
            ]
            rules.append(
                vim.cluster.VmHostRuleInfo(
                    **common, vmGroupName=f"{rule.name} vms", affineHostGroupName=f"{rule.name} hosts"
                )
            )
        else:
            kind = vim.cluster.AffinityRuleSpec if rule.kind == "together" else vim.cluster.AntiAffinityRuleSpec
            rules.append(kind(**common, vm=refs))
    return {"rule": rules, "group": groups}
