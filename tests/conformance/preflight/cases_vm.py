"""What a machine may have besides disks: devices, settings, a guest, snapshots, a place."""

from datetime import UTC, datetime, timedelta
from typing import Any

from simulators.vsphere.server import VsphereSimulator
from simulators.xapi.server import XapiSimulator
from tests.conformance.preflight.looking import Case


def disks(*each: dict[str, Any]) -> dict[str, Any]:
    """Of a machine with these."""
    return {"disks": [{"size_mib": 1, "datastore": "nfs1", **said} for said in each]}


def cards(count: int, **more: Any) -> dict[str, Any]:
    """Of a machine with so many."""
    return {"nics": [{"mac": f"00:50:56:aa:00:{number:02x}", **more} for number in range(1, count + 1)]}


def guest(**said: Any) -> dict[str, Any]:
    return {"guest": said}


def settings(**said: Any) -> dict[str, Any]:
    return {"settings": said}


def windows(**said: Any) -> dict[str, Any]:
    return {"guest_id": "windows2019srv_64Guest", **said}


def of_no_size(vcenter: VsphereSimulator, _: XapiSimulator) -> None:
    vcenter.world.vm("web01").disks[0].capacity = 0


def cloned(vcenter: VsphereSimulator, _: XapiSimulator) -> None:
    """A delta whose base belongs to another: what is left of a snapshot that nobody consolidated."""
    machine = vcenter.world.vm("web01")
    machine.take_snapshot("of the parent", "")
    machine.snapshot_tree, machine.current = [], None


def half_tracked(vcenter: VsphereSimulator, _: XapiSimulator) -> None:
    """A disk that was added to a tracked machine."""
    vcenter.world.vm("web01").disks[1].tracking = None


def aged(vcenter: VsphereSimulator, _: XapiSimulator) -> None:
    vcenter.world.vm("web01").all_snapshots()[0].created = datetime.now(UTC) - timedelta(days=30)


def cluster(**said: Any) -> dict[str, Any]:
    return {"cluster": said}


CASES = [
    Case("preflight.tags_unread", vcenter={"tags_refused": True}),
    Case("preflight.suspended", vm={"power": "suspended"}),
    Case("preflight.secure_boot", vm={"firmware": "efi", **settings(secure_boot=True)}),
    Case("vsphere.consolidation_needed", vm=settings(consolidation_needed=True)),
    # -- disks
    Case("preflight.disk_capacity_invalid", before=of_no_size),
    Case("preflight.datastore_inaccessible", vcenter={"datastores": [{"name": "nfs1", "accessible": False}]}),
    Case("preflight.disk_4k_sectors", vm=disks({"sector": 4096}), vcenter={"version": "9.0.0"}),
    Case("preflight.linked_clone", before=cloned),
    Case("preflight.first_class_disk", vm=disks({"first_class": True})),
    Case("preflight.disk_serials", vm=settings(disk_serials=True)),
    Case(
        "preflight.disk_needs_qcow2", vm=disks({"size_mib": 2041 << 10}), pool={"srs": [{"name": "big", "qcow2": True}]}
    ),
    Case("preflight.disk_over_2_tb", vm=disks({"size_mib": (2 << 20) - 7})),
    Case(
        "preflight.too_many_disks",
        vm=disks(
            *({"controller": f"sata{bus}", "unit": unit} for bus in range(4) for unit in range(30)),
            *({"controller": f"scsi{bus}", "unit": unit} for bus in range(4) for unit in range(16) if unit != 7),
            *({"controller": f"nvme{bus}", "unit": unit} for bus in range(4) for unit in range(15)),
            {"controller": "ide0", "unit": 1},
        ),
    ),
    Case("preflight.many_disks", vm=disks(*({"unit": unit} for unit in range(4)))),
    Case("preflight.nvme_disks", vm=disks({"controller": "nvme0"})),
    Case("preflight.sparse_units", vm=disks({"unit": 0}, {"unit": 15})),
    Case("preflight.boot_disk_not_first", vm={**disks({"unit": 0}, {"unit": 1}), **settings(boot=1)}),
    Case("preflight.boots_from_network", vm=settings(boot="network")),
    # -- change tracking
    Case("preflight.change_tracking_off", vm={"change_tracking": False}),
    Case("preflight.disk_not_tracked", vm=disks({"unit": 0}, {"unit": 1}), before=half_tracked),
    # -- snapshots
    Case("preflight.snapshot_chain_full", vm={"snapshots": [f"number {each}" for each in range(32)]}),
    Case("preflight.many_snapshots", vm={"snapshots": ["one", "two", "three", "four"]}),
    Case("preflight.old_snapshot", vm={"snapshots": ["before the update"]}, before=aged),
    Case("preflight.backup_snapshot", vm={"snapshots": ["VEEAM BACKUP TEMPORARY SNAPSHOT"]}),
    Case(
        "preflight.snapshots_will_go",
        vm={"snapshots": ["one"]},
        order={"approved_steps": ("remove-snapshots",)},
    ),
    # -- guest
    Case("preflight.hostname_unknown", vm=guest(hostname="")),
    Case("preflight.hostname_default", vm=guest(hostname="localhost.localdomain")),
    Case("preflight.guest_address_unknown", vm=guest(address="")),
    Case("preflight.guest_os_differs", vm=guest(os="rhel9_64Guest")),
    Case("preflight.guest_os_unsupported", vm={"guest_id": "winNetStandardGuest"}),
    Case(
        "preflight.drive_letter_unmapped",
        vm=windows(guest={"volumes": [{"path": "C:\\"}, {"path": "D:\\", "disk": None}]}),
    ),
    Case("preflight.guest_disk_full", vm=guest(volumes=[{"path": "/boot", "capacity_mib": 512, "free_mib": 20}])),
    Case("preflight.linux_drivers", vm={"guest_id": "rhel8_64Guest"}),
    Case("preflight.linux_drivers", vm=guest(os="sles15_64Guest"), name="by what runs"),
    Case("preflight.windows_drivers", vm=windows()),
    Case("preflight.uefi_loader", vm={"firmware": "efi"}),
    # -- VMware Tools
    Case("preflight.vmware_tools_stay", vm=windows()),
    Case("preflight.vmware_tools_remove_before", order={"vmware_tools": "remove-before"}),
    Case("preflight.smoke_not_started", vm={"power": "off"}, order={"smoke": True}),
    Case("preflight.vmware_tools_out_of_reach", vm={"power": "off"}, order={"vmware_tools": "remove-before"}),
    Case("preflight.vmware_tools_remove_after", order={"vmware_tools": "remove-after"}),
    Case("preflight.vmware_tools_hard_to_remove", vm=windows(), order={"vmware_tools": "remove-after"}),
    Case("preflight.tools_too_old", vm=guest(tools_status="too-old")),
    # -- network cards
    Case("preflight.too_many_nics", vm=cards(8)),
    Case("preflight.sriov_nic", vm=cards(1, type="sriov")),
    Case("preflight.nic_disconnected", vm=cards(1, connected=False)),
    Case("preflight.mac_set_by_hand", vm=cards(1, mac_type="manual")),
    # -- devices
    Case("preflight.pci_passthrough", vm={"devices": ["pci"]}),
    Case("preflight.vgpu", vm={"devices": ["vgpu"]}),
    Case("preflight.usb_device", vm={"devices": ["usb"]}),
    Case("preflight.bitlocker", vm=windows(devices=["tpm"])),
    Case("preflight.tpm", vm={"devices": ["tpm"]}),
    Case("preflight.persistent_memory", vm={"devices": ["nvdimm"]}),
    *(Case("preflight.ports", vm={"devices": [each]}, name=each) for each in ("serial", "parallel", "floppy")),
    *(Case("preflight.clocks", vm={"devices": [each]}, name=each) for each in ("watchdog", "precision-clock")),
    Case("preflight.host_cdrom", vm={"devices": ["host-cdrom"]}),
    Case(
        "preflight.iso_will_be_ejected",
        vm={"cdrom": "[nfs1] iso/x.iso"},
        order={"approved_steps": ("eject-iso",)},
    ),
    Case(
        "preflight.step_impossible",
        vm={"power": "off"},
        vcenter={"kind": "esxi", "licence": "free"},
        order={"approved_steps": ("eject-iso",)},
    ),
    # -- the machine
    Case("preflight.template", vm={"power": "off", **settings(template=True)}),
    Case("preflight.question_pending", vm=settings(question="Did you move it or copy it?")),
    Case("preflight.too_many_cpus", vm={"cpus": 96}),
    Case("preflight.many_cpus", vm={"cpus": 48}),
    Case("preflight.too_much_memory", vm={"memory_mib": 2 << 20}),
    Case("preflight.name_odd", vm={"name": "web01%2fold"}, called="web01%2fold"),
    # -- settings
    Case("preflight.fault_tolerance", vm=settings(fault_tolerant=True)),
    Case("preflight.managed_by", vm=settings(managed_by="com.vmware.vim.eam")),
    Case("preflight.encrypted_vm", vm=settings(encrypted_home=True)),
    Case("preflight.replicated", vm=settings(replicated=True)),
    Case("preflight.vapp_properties", vm=settings(vapp_properties={"gateway": "192.0.2.1"})),
    Case("preflight.in_vapp", vm=settings(vapp=True)),
    Case("preflight.nested_virtualization", vm=settings(nested=True)),
    Case("preflight.vbs", vm=windows(**settings(vbs=True))),
    Case("preflight.cpu_affinity", vm=settings(cpu_affinity=[0, 1])),
    Case("preflight.numa_affinity", vm=settings(numa_affinity="0")),
    Case("preflight.hot_add", vm=settings(cpu_hot_add=True)),
    Case("preflight.reservation", vm=settings(memory_reservation_mib=1024)),
    Case("preflight.latency_sensitive", vm=settings(latency="high")),
    # -- where it runs
    Case("preflight.host_affinity", vcenter=cluster(rules=[{"name": "licensed", "vms": ["web01"]}])),
    Case("preflight.machine_affinity", vcenter=cluster(rules=[{"name": "apart", "kind": "apart", "vms": ["web01"]}])),
    Case("preflight.drs", vcenter=cluster(drs=True)),
    Case("preflight.dpm", vcenter=cluster(dpm=True)),
    Case("preflight.ha", vcenter=cluster(ha=True)),
]
