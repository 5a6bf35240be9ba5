"""Everything that the simulated vCenter knows: data centre, datastores, networks, machines."""

import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyVmomi import vim

from simulators.clock import Clock
from simulators.faults import Faults
from simulators.inventory import Datastore, EsxiHost, Vm, Vsphere
from simulators.vsphere import soap
from simulators.vsphere.clusters import Clusters
from simulators.vsphere.leases import Leases
from simulators.vsphere.machine import Machine
from simulators.vsphere.tasks import Tasks, not_found
from simulators.vsphere.views import Property, machine_properties, snapshot_properties, world_properties


@dataclass(frozen=True)
class Store:
    """A datastore."""

    said: Datastore
    ref: Any
    url: str


class World:
    """The objects, by name and by moid."""

    def __init__(self, said: Vsphere, folder: Path, clock: Clock, faults: Faults) -> None:
        self.said, self.folder, self.clock, self.faults = said, folder, clock, faults
        self.tasks = Tasks(clock)
        self.leases = Leases(self)
        self.clusters = Clusters(self)
        self.root, self.datacenter = vim.Folder("group-d1"), vim.Datacenter("datacenter-2")
        self.vm_folder, self.host_folder = vim.Folder("group-v3"), vim.Folder("group-h4")
        paths = dict.fromkeys(each.folder for each in said.vms if each.folder)
        self.folders = {name: vim.Folder(f"group-v{300 + number}") for number, name in enumerate(paths)}
        self.compute: Any = vim.ComputeResource("domain-s5")
        if said.cluster is not None:
            self.compute = vim.ClusterComputeResource("domain-c5")
        self.hosts = [vim.HostSystem(f"host-{6 + number}") for number in range(len(said.hosts))]
        self.host = self.hosts[0]
        self.address, self.port = "127.0.0.2", 443  # the server knows better, once it listens
        self.resource_pool = vim.ResourcePool("resgroup-90")
        self.datastores: dict[str, Store] = {}
        for number, store in enumerate(said.datastores):
            url = f"ds:///vmfs/volumes/{uuid.uuid4()}/"
            self.datastores[store.name] = Store(store, vim.Datastore(f"datastore-{20 + number}"), url)
            (folder / store.name).mkdir(parents=True, exist_ok=True)
        names = dict.fromkeys([*said.networks, *(nic.network for vm in said.vms for nic in vm.nics)])
        self.networks = {name: vim.Network(f"network-{40 + number}") for number, name in enumerate(names)}
        self.machines: dict[str, Machine] = {}
        self.restricted: Counter[str] = Counter()  # calls that the licence refused
        self.most_frozen: Counter[str] = Counter()  # by host, and by datastore: machines with a snapshot at once
        for number, vm in enumerate(said.vms):
            for disk in vm.disks:
                self.datastore(disk.datastore)
            moid = f"vm-{100 + number}" if said.kind == "vcenter" else str(1 + number)
            self.machines[moid] = Machine(self, vm, moid)
        self.clusters.begin()
        self._static = world_properties(self)

    def datastore(self, name: str) -> Store:
        """Raises ValueError for one that the inventory does not have."""
        if name not in self.datastores:
            raise ValueError(f"the inventory has no datastore {name!r}; it has {', '.join(self.datastores)}")
        return self.datastores[name]

    def network(self, name: str) -> Any:
        """The network of that name."""
        return self.networks[name]

    def host_name(self, host: EsxiHost) -> str:
        """What it was added by."""
        return host.name or self.address

    def count_frozen(self) -> None:
        """Who has a snapshot now; the most of each host and datastore is kept."""
        now: Counter[str] = Counter()
        for machine in list(self.machines.values()):
            if machine.snapshot_tree:
                host = self.host_name(self.said.hosts[self.hosts.index(self.host_of(machine.said))])
                stores = {disk.datastore for disk in machine.said.disks}
                now.update([f"host {host}", *(f"datastore {each}" for each in stores)])
        for name, count in now.items():
            self.most_frozen[name] = max(count, self.most_frozen[name])

    def host_of(self, vm: Vm) -> Any:
        """The host that a machine is on."""
        names = [self.host_name(each) for each in self.said.hosts]
        return self.hosts[names.index(vm.host) if vm.host else 0]

    def vm(self, name: str) -> Machine:
        """The first machine of that name."""
        return next(each for each in self.machines.values() if each.name == name)

    def machine(self, moid: str) -> Machine:
        """Raises ManagedObjectNotFound."""
        if moid not in self.machines:
            raise not_found(vim.VirtualMachine(moid))
        return self.machines[moid]

    def machine_of_snapshot(self, moid: str) -> Machine:
        """Whose snapshot it is. Raises ManagedObjectNotFound."""
        for each in self.machines.values():
            if each.find_snapshot(moid) is not None:
                return each
        raise not_found(vim.vm.Snapshot(moid))

    def properties(self, moid: str) -> dict[str, Property] | None:
        """Of any object; None for one that is not there."""
        if moid in self.machines:
            return machine_properties(self.machines[moid])
        if moid.startswith("snapshot-"):
            for each in self.machines.values():
                found = each.find_snapshot(moid)
                if found is not None:
                    return snapshot_properties(each, found)
            return None
        if moid.startswith("task-"):
            return {"info": lambda: self.tasks.info(moid)} if self.tasks.known(moid) else None
        if "]lease-" in moid:
            return self.leases.properties(moid)
        return self._static.get(moid)

    def about(self) -> Any:
        """``ServiceContent.about``."""
        vcenter = self.said.kind == "vcenter"
        name = "VMware vCenter Server" if vcenter else "VMware ESXi"
        version = self.said.version
        api = [*version.split("."), "0", "0", "0"][:3]
        return soap.complete(
            vim.AboutInfo(
                name=name, fullName=f"{name} {version} build-1", vendor="VMware, Inc.", version=version, build="1",
                osType="linux-x64", productLineId="vpx" if vcenter else "embeddedEsx",
                apiType="VirtualCenter" if vcenter else "HostAgent", apiVersion=".".join([*api, "0"]),
                instanceUuid=str(uuid.uuid4()),
            )
        )  # fmt: skip

    def close(self) -> None:
        """End all guests."""
        for each in self.machines.values():
            each.close()
