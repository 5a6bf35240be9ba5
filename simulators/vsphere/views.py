"""The properties of every managed object, by name: what the PropertyCollector reads."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from simulators.vsphere import soap
from simulators.vsphere.clusters import AUTOSTART
from simulators.vsphere.devices import devices_of
from simulators.vsphere.hosts import host_properties
from simulators.vsphere.licences import licence_properties
from simulators.vsphere.oddities import guest_tells, odd_config, question_of

if TYPE_CHECKING:
    from simulators.vsphere.machine import Machine, Snapshot
    from simulators.vsphere.world import World

Property = Callable[[], Any]
_TOOLS = {
    "current": "guestToolsCurrent", "old": "guestToolsNeedUpgrade", "too-old": "guestToolsTooOld",
    "unmanaged": "guestToolsUnmanaged",
}  # fmt: skip


def machine_properties(machine: "Machine") -> dict[str, Property]:
    """Of a VirtualMachine; each is made when it is asked for."""
    world = machine.world
    return {
        "name": lambda: machine.name,
        "parent": lambda: world.folders.get(machine.said.folder, world.vm_folder),
        # Unset for what is orphaned or has lost its files (vsphere.md §4).
        "config": lambda: (
            _config(machine, devices_of(machine))
            if machine.said.settings.connection in ("connected", "disconnected")
            else None
        ),
        "runtime": lambda: _runtime(machine),
        "guest": lambda: _guest(machine),
        "capability": lambda: _capability(machine),
        "layoutEx": lambda: machine.layout,
        "snapshot": lambda: _snapshots(machine),
        "summary": lambda: _summary(machine),
        "datastore": lambda: [
            world.datastore(name).ref for name in sorted({each.datastore for each in machine.said.disks})
        ],
        "network": lambda: [world.network(name) for name in sorted({nic.network for nic in machine.said.nics})],
        "resourcePool": lambda: world.resource_pool,
        "parentVApp": lambda: vim.VirtualApp("resgroup-v99") if machine.said.settings.vapp else None,
        "recentTask": lambda: world.tasks.unended(machine.ref),
        "overallStatus": lambda: "green",
        "disabledMethod": lambda: [],
        "customValue": lambda: [],
        "tag": lambda: [],
    }


def snapshot_properties(machine: "Machine", snapshot: "Snapshot") -> dict[str, Property]:
    """Of a VirtualMachineSnapshot: its config shows the frozen devices with their change ids."""
    return {
        "config": lambda: _config(machine, snapshot.devices),
        "vm": lambda: machine.ref,
        "childSnapshot": lambda: [vim.vm.Snapshot(each.moid) for each in snapshot.children],
    }


def _config(machine: "Machine", devices: list[Any]) -> Any:
    said = machine.said
    extra = dict(machine.extra_config)
    home = said.disks[0].datastore if said.disks else "none"
    if said.settings.numa_affinity:
        extra["numa.nodeAffinity"] = said.settings.numa_affinity
    if machine.tracked:
        extra["ctkEnabled"] = "TRUE"
        for number, disk in enumerate(machine.disks):
            if disk.tracking is not None:
                place = said.disks[number]
                extra[f"{place.controller}:{place.unit}.ctkEnabled"] = "TRUE"
    config = vim.vm.ConfigInfo(
        changeVersion=str(machine.config_version), modified=datetime.now(UTC), name=machine.name, guestId=said.guest_id,
        guestFullName=said.guest_id, version=f"vmx-{said.hw_version:02d}", uuid=machine.bios_uuid,
        instanceUuid=machine.instance_uuid, template=machine.template, annotation=machine.annotation,
        firmware=said.firmware, changeTrackingEnabled=machine.tracked,
        files=vim.vm.FileInfo(vmPathName=f"[{home}] {said.name}/{said.name}.vmx"),
        hardware=soap.complete(
            vim.vm.VirtualHardware(
                numCPU=said.cpus, numCoresPerSocket=said.cores_per_socket, memoryMB=said.memory_mib, device=devices
            )
        ),
        extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in sorted(extra.items())],
    )  # fmt: skip
    odd_config(machine, config)
    return soap.complete(config)


def _runtime(machine: "Machine") -> Any:
    return soap.complete(
        vim.vm.RuntimeInfo(
            host=machine.world.host_of(machine.said), connectionState=machine.said.settings.connection,
            powerState=machine.power,
            faultToleranceState="notConfigured", recordReplayState="inactive",
            consolidationNeeded=machine.consolidation_needed, question=question_of(machine),
        )
    )  # fmt: skip


def _guest(machine: "Machine") -> Any:
    running = machine.tools_running
    installed = machine.said.guest.tools != "not-installed"
    windows = machine.said.guest_id.lower().startswith("win")
    told = soap.complete(
        vim.vm.GuestInfo(
            toolsRunningStatus="guestToolsRunning" if running else "guestToolsNotRunning",
            toolsVersionStatus2=_TOOLS[machine.said.guest.tools_status] if installed else "guestToolsNotInstalled",
            toolsVersion="12352" if installed else "0",
            guestFullName=machine.said.guest_id, guestFamily="windowsGuest" if windows else "linuxGuest",
            guestState="running" if machine.power == "poweredOn" else "notRunning",
        )
    )  # fmt: skip
    guest_tells(machine, told)
    return told


def _capability(machine: "Machine") -> Any:
    supported = machine.said.change_tracking_supported and machine.said.hw_version >= 7
    return soap.complete(
        vim.vm.Capability(
            changeTrackingSupported=supported, snapshotOperationsSupported=True, multipleSnapshotsSupported=True,
            poweredOffSnapshotsSupported=True,
        )
    )  # fmt: skip


def _snapshots(machine: "Machine") -> Any:
    if not machine.snapshot_tree:
        return None

    def tree(level: list["Snapshot"]) -> list[Any]:
        return [
            soap.complete(
                vim.vm.SnapshotTree(
                    snapshot=vim.vm.Snapshot(each.moid), vm=machine.ref, name=each.name, description=each.description,
                    id=each.number, createTime=each.created, state="poweredOff", quiesced=False,
                    childSnapshotList=tree(each.children),
                )
            )
            for each in level
        ]  # fmt: skip

    assert machine.current is not None
    return vim.vm.SnapshotInfo(
        currentSnapshot=vim.vm.Snapshot(machine.current.moid), rootSnapshotList=tree(machine.snapshot_tree)
    )


def _summary(machine: "Machine") -> Any:
    said = machine.said
    return soap.complete(
        vim.vm.Summary(
            vm=machine.ref, runtime=_runtime(machine), overallStatus="green",
            config=soap.complete(
                vim.vm.Summary.ConfigSummary(
                    name=machine.name, template=machine.template, uuid=machine.bios_uuid, numCpu=said.cpus,
                    instanceUuid=machine.instance_uuid, memorySizeMB=said.memory_mib, guestId=said.guest_id,
                    guestFullName=said.guest_id, annotation=machine.annotation, numVirtualDisks=len(said.disks),
                )
            ),
            quickStats=soap.complete(vim.vm.Summary.QuickStats()),
        )
    )  # fmt: skip


def _folder(world: "World", name: str) -> dict[str, Property]:
    return {
        "name": lambda: name, "parent": lambda: world.vm_folder,
        "childEntity": lambda: [each.ref for each in world.machines.values() if each.said.folder == name],
    }  # fmt: skip


def world_properties(world: "World") -> dict[str, dict[str, Property]]:
    """Of everything that is no machine, by moid."""
    found: dict[str, dict[str, Property]] = {
        world.root._moId: {"name": lambda: "Datacenters", "childEntity": lambda: [world.datacenter]},
        world.datacenter._moId: {
            "name": lambda: world.said.datacenter, "parent": lambda: world.root,
            "vmFolder": lambda: world.vm_folder, "hostFolder": lambda: world.host_folder,
            "datastore": lambda: [each.ref for each in world.datastores.values()],
            "network": lambda: list(world.networks.values()),
        },
        world.vm_folder._moId: {
            "name": lambda: "vm", "parent": lambda: world.datacenter,
            "childEntity": lambda: [
                *world.folders.values(), *(each.ref for each in world.machines.values() if not each.said.folder)
            ],
        },
        **{ref._moId: _folder(world, name) for name, ref in world.folders.items()},
        world.host_folder._moId: {
            "name": lambda: "host", "parent": lambda: world.datacenter, "childEntity": lambda: [world.compute],
        },
        world.compute._moId: {
            "name": lambda: world.said.cluster.name if world.said.cluster else "esx1",
            "parent": lambda: world.host_folder, "host": lambda: list(world.hosts),
            "resourcePool": lambda: world.resource_pool, **world.clusters.cluster_properties(),
        },
        AUTOSTART: world.clusters.autostart_properties(),
        world.resource_pool._moId: {"name": lambda: "Resources", "parent": lambda: world.compute},
        **{
            ref._moId: host_properties(world, ref, host)
            for ref, host in zip(world.hosts, world.said.hosts, strict=True)
        },
        "LicenseManager": licence_properties(world.said),
        "SessionManager": {"currentSession": lambda: None},
    }  # fmt: skip
    for store in world.datastores.values():
        found[store.ref._moId] = _datastore(world, store)
    for name, network in world.networks.items():
        found[network._moId] = {"name": lambda name=name: name, "parent": lambda: world.datacenter}  # type: ignore[misc]
    return found


def _datastore(world: "World", store: Any) -> dict[str, Property]:
    size = int(store.said.capacity_gib * (1 << 30))
    free = size // 2 if store.said.free_gib is None else int(store.said.free_gib * (1 << 30))

    def summary() -> Any:
        return soap.complete(
            vim.Datastore.Summary(
                datastore=store.ref, name=store.said.name, url=store.url, capacity=size, freeSpace=free,
                type=store.said.type, accessible=store.said.accessible, multipleHostAccess=True,
                maintenanceMode=store.said.maintenance,
            )
        )  # fmt: skip

    def info() -> Any:
        common = {"name": store.said.name, "url": store.url, "freeSpace": free, "maxFileSize": 1 << 46}
        if store.said.type == "VMFS":
            volume = soap.complete(vim.host.VmfsVolume(name=store.said.name, version=f"{store.said.vmfs}.82"))
            return soap.complete(vim.host.VmfsDatastoreInfo(**common, vmfs=volume))
        if store.said.type.startswith("NFS"):
            nas = soap.complete(
                vim.host.NasVolume(name=store.said.name, remoteHost="nas.example", remotePath=f"/{store.said.name}")
            )
            return soap.complete(vim.host.NasDatastoreInfo(**common, nas=nas))
        return soap.complete(vim.Datastore.Info(**common))

    def mounts() -> list[Any]:
        how = vim.host.MountInfo(accessMode="readWrite", mounted=True, accessible=store.said.accessible)
        return [vim.Datastore.HostMount(key=each, mountInfo=how) for each in world.hosts]

    return {"name": lambda: store.said.name, "summary": summary, "info": info, "host": mounts}
