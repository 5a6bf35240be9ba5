"""What the preflight says of a machine: the codes, their meaning and what to do. Part of the error catalogue."""

from contracts.errors import ErrorEntry, ExitCode, Remedy


def _entry(name: str, meaning: str, action: str) -> ErrorEntry:
    return ErrorEntry(f"preflight.{name}", Remedy.FAIL, meaning, action, ExitCode.BLOCKED)


_OVERRIDE = "or start with `--override preflight.{}=REASON`"
_SPLIT = (
    "or split it: make a VM on the target with several disks of less, join them inside (LVM on Linux, Storage Spaces on "
    "Windows), and copy the content with Clonezilla, rsync or robocopy"
)

MACHINE_ENTRIES = (
    # -- disks
    _entry("disk_capacity_invalid", "A disk tells no size, so no disk can be made for it.",
           "Open the VM's settings on the source and see why; remove the disk if it is a dead entry, then start again."),
    _entry("datastore_inaccessible", "A disk lies on a datastore that no host reaches.",
           "Bring the datastore back (or remove the disk from the VM), then start again."),
    _entry("disk_4k_sectors", "A disk has sectors of 4 KiB (4Kn). All its bytes would be moved, but on the target sectors "
           "have 512 bytes: partition tables and file systems that count in sectors are not understood there.",
           "Copy its content inside the guest to a new disk with 512-byte sectors and remove it; "
           + _OVERRIDE.format("disk_4k_sectors") + " where the guest uses it without partitions."),
    _entry("linked_clone", "A disk is a linked clone: its base is another machine's disk.",
           "Nothing need be done: all of it is read through its chain by nfc or nbd. For the faster transports, make it a "
           "full clone on the source (migrate its storage) first."),
    _entry("first_class_disk", "A disk is a first class disk (FCD): a container platform or another product made it and "
           "looks for it on vSphere.",
           "Ask whoever runs that product; detach the disk if it shall stay."),
    _entry("disk_serials", "The guest sees the disks' serial numbers (disk.EnableUUID); on the target they are others.",
           "In the guest, name disks by file system UUID or label, not by /dev/disk/by-id/scsi-… or wwn-…"),
    _entry("disk_needs_qcow2", "A disk has more than 2,040 GiB, the most that a VHD holds: it is stored as qcow2.",
           "Name an SR whose driver holds qcow2 (`--sr`; `ferry doctor` lists them); " + _SPLIT + "."),
    _entry("disk_over_2_tb", "A disk has more than 2 TiB - 8 MiB. Ferry moves it; many other tools for XCP-ng do not.",
           "See that your backup product takes disks of that size on XCP-ng; " + _SPLIT + "."),
    _entry("too_many_disks", "The VM has more disks than XCP-ng supports: 241 with the CD drive.",
           "Join some of them inside the guest; " + _OVERRIDE.format("too_many_disks") + " (a VM has 255 positions)."),
    _entry("many_disks", "The VM has more disks than a guest without Xen drivers sees: three beside the CD drive.",
           "See that the guest has Xen's drivers before the cutover (Linux has them in its kernel), and that no disk but the "
           "first ones is needed at boot; install the guest tools on Windows, then reboot."),
    _entry("nvme_disks", "The VM has disks on an NVMe controller. All are moved; the guest sees them as /dev/xvd*.",
           "In the guest, see that /etc/fstab and the boot loader name file systems by UUID or label, not /dev/nvme*."),
    _entry("sparse_units", "The unit numbers of the disks have gaps. All are moved, one after the other.",
           "Nothing, unless the guest names disks by their SCSI address: then compare the order that the message tells."),
    _entry("boot_disk_not_first", "The VM boots from a disk that is not its first, and the target's BIOS boots from the first.",
           "Exchange the disks' positions on the source while the VM is off, or install the boot loader on the first disk."),
    _entry("boots_from_network", "The VM boots from the network first; the target tries its disk first.",
           "Once it is there, set its boot order: `xe vm-param-set uuid=… HVM-boot-params:order=ncd`."),
    # -- change tracking
    _entry("change_tracking_off", "Change tracking is off for the VM.",
           "Nothing: Ferry switches it on (a moment's stun while it runs), and off again at the end."),
    _entry("disk_not_tracked", "Change tracking is on for the VM, but not for one of its disks.",
           "Nothing: the first snapshot makes vSphere track it; until then it is read in full."),
    # -- snapshots
    _entry("snapshot_chain_full", "A chain of snapshots is as long as vSphere allows, so none of ours fits.",
           "Remove snapshots on the source, wait for their consolidation, then start again."),
    _entry("many_snapshots", "The VM has many snapshots: every read is slow, and so is their removal.",
           "Remove those that nobody needs, oldest first; or start with `--step remove-snapshots=REASON`, and Ferry removes "
           "all of them. The target gets the current state only."),
    _entry("old_snapshot", "A snapshot is older than three days; such are mostly forgotten, and grow.",
           "Ask who took it, and remove it on the source."),
    _entry("backup_snapshot", "A snapshot looks like that of a backup product: a job runs now, or one broke off.",
           "Wait for the job's end, or keep it from this VM until the migration is over; remove what a broken job left."),
    _entry("snapshots_will_go", "The request approves that the VM's snapshots are removed before anything is copied.",
           "Read the list once more: what they hold is lost, on the source too. Without it, leave the step out."),
    _entry("iso_will_be_ejected", "The request approves that the ISO is taken out of the CD drive.",
           "Nothing; put it back by hand if the migration is called off and it is needed."),
    _entry("step_impossible", "A step was approved that the host's licence (free ESXi) does not allow.",
           "Do it in the host client while the VM is off, and start without `--step`."),
    # -- guest
    _entry("hostname_unknown", "VMware Tools run and tell no host name.", "Nothing, if the guest shall have none."),
    _entry("hostname_default", "The guest has the host name that it was installed with.",
           "Give it one of its own before others are found by it: `hostnamectl set-hostname NAME`."),
    _entry("guest_address_unknown", "VMware Tools run and tell no IP address: nobody can compare it with the target's.",
           "Write down the guest's addresses (`ip a`, `ipconfig /all`): names of cards may change on the target."),
    _entry("guest_os_differs", "Another OS runs than the one that the VM is configured for; the template is chosen by the "
           "latter.", "Correct the guest OS in the VM's settings on the source while it is off, if the template matters."),
    _entry("guest_os_unsupported", "XCP-ng supports no such guest: it is moved whole, and may not boot or have no drivers.",
           "Try it with a copy first, or upgrade the guest; the source stays a way back."),
    _entry("drive_letter_unmapped", "VMware Tools do not tell on which disk a drive of Windows lies.",
           "Nothing: every disk is moved. Compare the drive letters afterwards; a spanned or shared drive is not told."),
    _entry("guest_disk_full", "A file system is so full that installing drivers or a new initramfs will fail.",
           "Free some room in the guest before the cutover."),
    _entry("linux_drivers", "The guest's initramfs may hold no drivers for Xen: it would stop at boot with "
           "`dracut-initqueue … does not exist`.",
           "Run the commands of the message in the guest, once, before the cutover; they cover every kernel installed."),
    _entry("windows_drivers", "Windows has no drivers for Xen yet: it boots on emulated devices and is slow.",
           "After the start, install the XCP-ng guest tools and reboot. MACs are kept, which spares an activation; the "
           "addresses of the old cards must be entered anew (`ipconfig /all` beforehand)."),
    _entry("uefi_loader", "The VM boots by UEFI, and its boot entries are not moved: the firmware looks for "
           r"\EFI\BOOT\BOOTX64.EFI.",
           r"In the guest: `ls /boot/efi/EFI/BOOT/BOOTX64.EFI`; where it is missing, `grub-install --removable` (Debian) or "
           "copy the distribution's shimx64.efi and grubx64.efi there. Else choose the disk in the Boot Manager (Esc)."),
    _entry("smoke_not_started", "A smoke test is asked for, and the target will not be started: its source does not run.",
           "Power the VM on before you start, or add `--start`; else the smoke test is left out."),
    # -- VMware Tools
    _entry("vmware_tools_stay", "VMware Tools stay in Windows, where they can be removed on VMware only.",
           "Start with `--vmware-tools remove-before` for the command, and remove them before you approve; or leave them: "
           "they do little harm beside a service that fails."),
    _entry("vmware_tools_remove_before", "VMware Tools are to be removed before the cutover; Ferry runs nothing in a guest.",
           "Let the first passes end, run the command in the guest, then approve. Without "
           "Tools the guest is not asked to shut down: do that from inside, or start with --power-off hard."),
    _entry("vmware_tools_out_of_reach", "VMware Tools were to be removed beforehand, but the VM does not run.",
           "Power it on and remove them, or start with `--vmware-tools leave`."),
    _entry("vmware_tools_remove_after", "VMware Tools are to be removed once the target runs; Ferry runs nothing in a guest.",
           "Run the command in the guest after the start, then install the XCP-ng guest tools and reboot."),
    _entry("vmware_tools_hard_to_remove", "VMware Tools of Windows do not let themselves be removed away from VMware.",
           "Start with `--vmware-tools remove-before` and remove them before you approve."),
    _entry("tools_too_old", "VMware Tools are too old for their host: it may be that no shutdown is heeded.",
           "Upgrade them, or shut the guest down from inside when asked."),
    # -- network cards
    _entry("too_many_nics", "The VM has more network cards than XCP-ng supports: 7.",
           "Remove some on the source (VLANs inside the guest over one trunk); "
           + _OVERRIDE.format("too_many_nics") + ", since XAPI counts to 16."),
    _entry("sriov_nic", "A network card is an SR-IOV function; on the target it is a plain card with the same MAC.",
           "See that the guest has a driver for another card, and that its speed will do."),
    _entry("nic_disconnected", "A network card is not connected at start. It is moved, and its traffic is dropped.",
           "Unlock it on the target when it shall speak: `xe vif-param-set uuid=… locking-mode=network_default`."),
    _entry("mac_set_by_hand", "A MAC was set by hand. It is kept, as all are.",
           "Nothing; see that nobody uses it a second time on the target's network."),
    # -- devices
    _entry("pci_passthrough", "A PCI device of the host is passed through. It stays behind, and a VM with one cannot be "
           "frozen while it runs.",
           "Remove it from the VM on the source; " + _OVERRIDE.format("pci_passthrough") + " for a VM that is off and can do "
           "without."),
    _entry("vgpu", "The VM has a virtual GPU, which stays behind.",
           "Remove it on the source, and give the VM one on the target if the pool has them; "
           + _OVERRIDE.format("vgpu") + "."),
    _entry("usb_device", "A USB device is attached, most likely a licence key. It stays behind.",
           "Plug it into a network USB server, or pass it through on the target (`xe pusb-list`); then detach it; "
           + _OVERRIDE.format("usb_device") + "."),
    _entry("bitlocker", "Windows with a virtual TPM: BitLocker may hold its keys there, and the TPM is not moved. The target "
           "would ask for the recovery key, and without it nothing can be read.",
           "In the guest: `manage-bde -protectors -get C:` and keep the recovery key somewhere else; then `manage-bde "
           "-protectors -disable C: -RebootCount 0` for each drive, and Windows Hello needs its PIN anew. Then "
           + _OVERRIDE.format("bitlocker").removeprefix("or ") + "; afterwards `manage-bde -protectors -enable C:`."),
    _entry("tpm", "The VM has a virtual TPM. What it holds is not moved, and the target has none.",
           "See that nothing in the guest is sealed to it (LUKS: `systemd-cryptenroll`, `clevis luks list`), or that a "
           "passphrase opens it too."),
    _entry("persistent_memory", "The VM has persistent memory (NVDIMM), which holds data and is no disk.",
           "Copy its content to a disk inside the guest and remove it, then start again."),
    _entry("ports", "Serial ports, parallel ports and floppy drives are not moved.",
           "Nothing, unless something in the guest speaks through them: XCP-ng has one serial port (platform:hvm_serial)."),
    _entry("clocks", "Virtual watchdogs and precision clocks are not moved.",
           "In the guest, disable what waits for them; keep time by NTP."),
    _entry("host_cdrom", "The CD drive is that of the host.", "Nothing: the target gets an empty drive."),
    # -- the machine
    _entry("template", "It is a template, which can be neither frozen nor marked.",
           "Convert it to a VM on the source, then start again; convert the target to a template when it is done."),
    _entry("question_pending", "vSphere waits for an answer to a question about the VM, and does nothing else until then.",
           "Answer it in the vSphere client, then start again."),
    _entry("too_many_cpus", "The VM has more virtual CPUs than XCP-ng supports: 64.",
           "Lower the number on the source while the VM is off; " + _OVERRIDE.format("too_many_cpus")
           + ": Xen itself counts to 128."),
    _entry("many_cpus", "The VM has more than 32 virtual CPUs, which is not supported for every guest.",
           "See that the guest's vendor supports so many under Xen; lower the number on the source while the VM is off."),
    _entry("too_much_memory", "The VM has more memory than XCP-ng supports: 1.5 TiB.",
           "Lower it on the source while the VM is off; " + _OVERRIDE.format("too_much_memory") + "."),
    _entry("name_odd", "The VM's name is long or has characters that scripts and DNS do not take. It is kept.",
           "Nothing; rename the target when it is done, if it bothers."),
    # -- settings
    _entry("fault_tolerance", "Fault Tolerance is on, and vSphere takes no snapshot of such a VM.",
           "Turn Fault Tolerance off, then start again; " + _OVERRIDE.format("fault_tolerance") + " for a VM that is off."),
    _entry("managed_by", "A vCenter extension made the VM and looks after it (an appliance, an agent, a cluster service).",
           "Ask whether it has any use away from that vCenter; most have none."),
    _entry("encrypted_vm", "The VM's configuration is encrypted: vSphere exports no such VM, so the transport nfc is lost.",
           "Nothing where https, nfs or nbd can be used; else decrypt it by its storage policy (a virtual TPM must go first)."),
    _entry("replicated", "vSphere Replication copies the VM elsewhere.",
           "Set up the target's own replication or backup; stop this one when the source is retired."),
    _entry("vapp_properties", "The VM has OVF properties: appliances read their configuration from them at each boot.",
           "Write down their values (vSphere client: Configure, vApp Options); see whether the guest can do without them."),
    _entry("in_vapp", "The VM is part of a vApp, whose order of start and resource limits are lost.",
           "Start the VMs in that order on the target, or make a vApp there (`xe appliance-create`)."),
    _entry("nested_virtualization", "The VM may run VMs itself; XCP-ng does not support that.",
           "See that nothing in the guest needs it (Hyper-V, WSL 2, container sandboxes)."),
    _entry("vbs", "Windows' virtualization-based security is on; it needs nested virtualization, which XCP-ng lacks.",
           "Nothing need be done: Windows boots without. Credential Guard and the like are then off."),
    _entry("cpu_affinity", "The VM is pinned to CPUs of its host. The target is not.",
           "Where a licence counts on it: `xe vm-param-set uuid=… VCPUs-params:mask=…` before the start."),
    _entry("numa_affinity", "The VM is tied to NUMA nodes. The target is not.",
           "Nothing: Xen places a VM on nodes itself; pin its CPUs by VCPUs-params:mask where it matters."),
    _entry("hot_add", "CPUs or memory can be added while the VM runs. On the target both are fixed while it runs.",
           "Nothing; to have room, raise VCPUs-max or memory-static-max of the target while it is halted."),
    _entry("reservation", "CPU or memory is reserved for the VM.",
           "Nothing: XCP-ng always gives a VM all of its memory; for CPUs there are weights (VCPUs-params:weight)."),
    _entry("latency_sensitive", "The VM's latency sensitivity is set to high.",
           "Nothing to carry over; pin its CPUs on the target (VCPUs-params:mask) if its guest needs it."),
    # -- where it runs
    _entry("host_affinity", "Rules of the cluster tie the VM to hosts, often for a licence. They are lost.",
           "Set the target's home server (`xe vm-param-set uuid=… affinity=HOST`), or use another pool for it."),
    _entry("machine_affinity", "Rules of the cluster keep the VM together with others, or apart. They are lost.",
           "Make a VM group on the target (`xe vm-group-create placement=anti_affinity`), or set home servers."),
    _entry("drs", "DRS balances the VM's cluster. A move between two passes does no harm.",
           "Nothing; XO's load balancer plug-in does the like on XCP-ng."),
    _entry("dpm", "The VM's cluster switches idle hosts off (DPM). The pool does not.",
           "Nothing; XO's load balancer has a density mode that does the like."),
    _entry("ha", "HA of the VM's cluster would restart it after a host's failure. The target is not protected.",
           "Once it is done: `xe vm-param-set uuid=… ha-restart-priority=restart`, in a pool with HA."),
)  # fmt: skip
