"""What Ferry's accounts must be allowed, right by right, and what each is for (docs/vsphere.md, xapi.md §3.13).

Where a right lacks, the check says what it blocks; how bad that is depends on what needs it: the way of every
migration, this machine's, or one transport of several.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from checks.approved_steps import EJECT_ISO
from checks.registry import BLOCKER, NOTE, WARNING, check
from checks.seen import Seen
from contracts.facts import Lacking
from contracts.machine import Machine, Power

ALWAYS, TRACKED, RUNNING, TRANSPORT = "always", "tracked", "running", "transport"
EJECTING, LATER = "ejecting", "later"
VM, STORE, ROOT, CLUSTER, HOST = "the VM", "its datastores", "the root folder", "its cluster", "its host"


@dataclass(frozen=True)
class Need:
    """``when``: what needs it. ``on``: what it must be granted on. ``transport``: the only one that needs it."""

    right: str
    on: str
    what: str
    when: str = ALWAYS
    transport: str = ""


VSPHERE = (
    Need("VirtualMachine.Config.AdvancedConfig", VM, "the owner mark and the fence's journal"),
    Need("VirtualMachine.Config.EditDevice", VM, "the fence: its NICs are disconnected at start"),
    Need("VirtualMachine.State.CreateSnapshot", VM, "the freeze of each pass"),
    Need("VirtualMachine.State.RemoveSnapshot", VM, "the thaw of each pass"),
    Need("VirtualMachine.Config.ChangeTracking", VM, "switching change tracking on, and off again", TRACKED),
    Need("VirtualMachine.Provisioning.DiskRandomRead", VM, "asking what changed since the last pass", TRACKED),
    Need("VirtualMachine.Interact.PowerOff", VM, "the cutover", RUNNING),
    Need("VirtualMachine.Interact.PowerOn", VM, "the way back", RUNNING),
    Need("VirtualMachine.Interact.SetCDMedia", VM, "`--step eject-iso`", EJECTING),
    Need("VirtualMachine.Config.Rename", VM, "the source's new name after a probation", LATER),
    Need("VirtualMachine.Config.Annotation", VM, "the source's note after a probation", LATER),
    Need("VirtualMachine.Inventory.Delete", VM, "`ferry retire VM --remove`", LATER),
    Need("Host.Inventory.EditCluster", CLUSTER, "HA and DRS leave the source alone while it is off", LATER),
    Need("Host.Config.AutoStart", HOST, "the host does not switch the source on when it boots", LATER),
    Need("VApp.Export", VM, "exports, which read every datastore", TRANSPORT, "nfc"),
    Need("Datastore.Browse", STORE, "ranges of `/folder`", TRANSPORT, "https"),
    Need("Datastore.FileManagement", STORE, "ranges of `/folder`", TRANSPORT, "https"),
    Need("VirtualMachine.Provisioning.GetVmFiles", VM, "VDDK", TRANSPORT, "nbd"),
    Need("Global.DisableMethods", ROOT, "VDDK, which else says that the host is not licensed", TRANSPORT, "nbd"),
    Need("Global.EnableMethods", ROOT, "VDDK, which else says that the host is not licensed", TRANSPORT, "nbd"),
)

POOL = (
    Need("VM.create", "", "making the shell"),
    Need("VM.destroy", "", "removing the shell when a migration is called off"),
    Need("VM.snapshot", "", "the pre-start snapshot, which is what is proven"),
    Need("VM.start", "", "starting the target"),
    Need("VM.hard_shutdown", "", "a rollback"),
    Need("VM.add_to_blocked_operations", "", "keeping the shell from being started too early"),
    Need("VDI.create", "", "making the disks"),
    Need("VDI.destroy", "", "removing disks that were never written"),
    Need("VBD.create", "", "attaching the disks"),
    Need("VIF.create", "", "the network cards"),
    Need("task.create", "", "the tasks that say whether a segment is durable"),
    Need("task.set_other_config", "", "the mark of who writes"),
    Need("http/put_import_raw_vdi", "", "writing the disks"),
    Need("http/get_export_raw_vdi", "", "reading them back"),
)
"""Each message that writes, and would be refused with RBAC_PERMISSION_DENIED in the middle of a migration."""


def applies(need: Need, machine: Machine) -> bool:
    """Whether that machine's migration comes to the point where it is needed."""
    if machine.read_only:
        return need.when == TRANSPORT and need.transport != "nfc"  # nothing else is done to it
    if need.when == TRACKED:
        return machine.change_tracking_supported
    return need.when != RUNNING or machine.power is Power.ON


def _told(lacking: tuple[Lacking, ...] | None, needs: tuple[Need, ...]) -> Iterator[tuple[Need, str]]:
    for lack in lacking or ():
        for need in needs:
            if (need.right, need.on) == (lack.right, lack.on):
                yield need, f"{need.right}{f' on {need.on}' if need.on else ''} is missing: {need.what}"


@check("preflight.privilege_missing", BLOCKER)
def privilege_missing(seen: Seen) -> Iterator[str]:
    """It would stop the migration on its way, perhaps in the cutover."""
    for need, told in _told(seen.source.lacking if seen.source else None, VSPHERE):
        ejects = EJECT_ISO in seen.approved_steps and bool(seen.machine.mounted_iso)
        wanted = ejects if need.when == EJECTING else need.when not in (TRANSPORT, LATER)
        if wanted and applies(need, seen.machine):
            yield told


@check("preflight.privilege_later", NOTE)
def privilege_later(seen: Seen) -> Iterator[str]:
    """The migration comes to its good end without it; the report names what was left."""
    for need, told in _told(seen.source.lacking if seen.source else None, VSPHERE):
        if need.when == LATER and applies(need, seen.machine):
            yield told


@check("preflight.transport_privilege", WARNING)
def transport_privilege(seen: Seen) -> Iterator[str]:
    """Another transport may do instead; whether one is left tells :mod:`checks.transports`."""
    source = seen.source
    if source is None:
        return
    for need, told in _told(source.lacking, VSPHERE):
        wanted = need.transport != "nbd" or source.has_vddk
        if need.when == TRANSPORT and wanted and applies(need, seen.machine):
            yield f"{told} ({need.transport})"


@check("preflight.role_too_low", BLOCKER)
def role_too_low(seen: Seen) -> Iterator[str]:
    """XAPI refuses such a call whatever the object."""
    for _, told in _told(seen.target.lacking if seen.target else None, POOL):
        yield told
