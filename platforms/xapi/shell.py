"""Making the VM with all that belongs to it, piece by piece, each looked for before it is made; and unmaking it."""

from contracts.errors import FerryError
from contracts.machine import SourceDisk
from contracts.names import SOURCE_DISK_KEY
from contracts.steps import Errand, RemovedShell, Shell, ShellDisk, ShellOrder
from platforms.xapi import blueprint, dom0, tasks
from platforms.xapi.bases import drop_bases
from platforms.xapi.connection import LONG_CALL_SECONDS, Connection
from platforms.xapi.faults import XapiFailure
from platforms.xapi.lookup import GONE, Record, disk_vbds, marked, other_owner, records_of, shell_of, vanish
from platforms.xapi.marks import RELEASED_KEY, WRITTEN_KEY
from platforms.xapi.power import block
from platforms.xapi.snapshots import our_snapshots, remove_snapshot

KEPT = "kept by Ferry: holds copied data of"


def make_shell(api: Connection, order: ShellOrder) -> Shell:
    """The VM, its start blocked, with its VIFs, VDIs, VBDs. What an earlier attempt made is found by its mark.

    Raises:
        FerryError: ``preflight.no_template``, ``preflight.unknown_sr``, ``xapi.sr_full``, ``xapi.shell_broken`` …
    """
    sr = _found(api, "SR", order.sr_uuid, "preflight.unknown_sr")
    _not_anothers(api, order)
    vm, record = shell_of(api, order.errand.migration) or _create(api, order)
    _not_anothers(api, order)  # of two that came at once one is refused, or both
    if record["power_state"] != "Halted":
        raise FerryError("xapi.shell_broken", f"{record['name_label']} is {record['power_state']}, and must be Halted")
    block(api, vm, blueprint.block_text(order.errand))
    if not order.test_copy:  # its source runs on: they would meet
        _make_vifs(api, order, vm)
    _make_cd(api, vm)
    return Shell(vm=record["uuid"], disks=tuple(_make_disks(api, order, vm, sr)))


def _not_anothers(api: Connection, order: ShellOrder) -> None:
    """The shell bears the mark for a source that cannot (SAFETY 12): XAPI refuses no second one by itself."""
    if order.errand.read_only:
        rival = other_owner(api, order.machine.machine_id, order.errand.migration)
        if rival is not None:
            raise FerryError("vm.already_migrating", f"{order.machine.name} is being moved here by {rival.workflow}")


def _create(api: Connection, order: ShellOrder) -> tuple[str, Record]:
    template = template_record(api, order.template)
    vm: str = api.call("VM.create", blueprint.vm_record(order, template), patience=LONG_CALL_SECONDS)
    return vm, api.call("VM.get_record", vm)


def template_record(api: Connection, name: str) -> Record:
    """Raises ``preflight.no_template``."""
    for ref in api.call("VM.get_by_name_label", name):
        record: Record = api.call("VM.get_record", ref)
        if record["is_a_template"] and not record["is_a_snapshot"]:
            return record
    raise FerryError("preflight.no_template", f"the pool has no template called {name!r}")


def _make_vifs(api: Connection, order: ShellOrder, vm: str) -> None:
    there = {vif["device"] for vif in records_of(api, "VIF", api.call("VM.get_VIFs", vm)).values()}
    for number, nic in enumerate(order.machine.nics):
        if str(number) in there:
            continue
        uuid = order.networks.get(nic.network)
        if uuid is None:
            raise FerryError("preflight.unmapped_network", f"network {nic.network!r} has no counterpart")
        network = _found(api, "network", uuid, "preflight.unmapped_network")
        mtu = str(api.call("network.get_MTU", network))
        api.call("VIF.create", blueprint.vif_record(order, vm, str(number), nic, network, mtu))


def _make_cd(api: Connection, vm: str) -> None:
    vbds = records_of(api, "VBD", api.call("VM.get_VBDs", vm)).values()
    if not any(vbd["userdevice"] == blueprint.CD_DEVICE for vbd in vbds):
        api.call("VBD.create", blueprint.cd_vbd_record(vm))


def _make_disks(api: Connection, order: ShellOrder, vm: str, sr: str) -> list[ShellDisk]:
    attached = {vbd["VDI"]: vbd for vbd in disk_vbds(api, vm).values()}
    ours = marked(api, "VDI", order.errand.migration)
    sr_record: Record = api.call("SR.get_record", sr)
    devices = blueprint.disk_devices(len(order.machine.disks))
    disks: list[ShellDisk] = []
    for number, (disk, device) in enumerate(zip(order.machine.disks, devices, strict=True)):
        vdi = _vdi_for(disk, ours, attached)
        if vdi is None:
            vdi = api.call("VDI.create", blueprint.vdi_record(order, sr, disk), patience=LONG_CALL_SECONDS)
        record: Record = api.call("VDI.get_record", vdi)  # virtual_size is what the SR made of it
        if int(record["virtual_size"]) < disk.capacity:
            raise FerryError("xapi.shell_broken", f"VDI {record['uuid']} is smaller than {disk.slot}")
        if vdi not in attached:
            api.call("VBD.create", blueprint.disk_vbd_record(vm, vdi, device, bootable=number == 0))
        disks.append(
            ShellDisk(
                disk_id=disk.disk_id,
                slot=disk.slot,
                vdi=record["uuid"],
                userdevice=attached[vdi]["userdevice"] if vdi in attached else device,
                capacity=disk.capacity,
                virtual_size=int(record["virtual_size"]),
                prezeroed=blueprint.is_prezeroed(sr_record, record),
            )
        )
    return disks


def _vdi_for(disk: SourceDisk, ours: dict[str, Record], attached: dict[str, Record]) -> str | None:
    """The VDI made for a disk before: an attached one rather than a copy that somebody made of it."""
    found = [ref for ref, vdi in ours.items() if vdi["other_config"].get(SOURCE_DISK_KEY) == disk.disk_id]
    found.sort(key=lambda ref: ref not in attached)
    if len(found) > 1 and found[0] not in attached:
        raise FerryError("xapi.shell_broken", f"several VDIs bear the mark of disk {disk.slot}")
    return found[0] if found else None


def _found(api: Connection, kind: str, uuid: str, code: str) -> str:
    try:
        return str(api.call(f"{kind}.get_by_uuid", uuid))
    except XapiFailure as failure:
        if failure.wire in GONE:
            raise FerryError(code, f"the pool has no {kind} {uuid}") from None
        raise


def remove_shell(api: Connection, errand: Errand) -> RemovedShell:
    """Remove the VM of a migration with its VBDs and VIFs, and VDIs that were never written (SAFETY 22).

    VDIs that may hold data stay, and say so in their description. The pre-start snapshot goes, unless the VM may
    have run since: then it is the only state that was proven.

    Raises:
        FerryError: ``xapi.shell_broken`` when it runs.
    """
    drop_bases(api, errand)
    shell = shell_of(api, errand.migration)
    if shell is not None:
        vm, record = shell
        if record["power_state"] != "Halted":
            raise FerryError("xapi.shell_broken", f"{record['name_label']} is {record['power_state']}: not removed")
        for snapshot, snapshot_record in our_snapshots(api, vm, errand.migration).items():
            if RELEASED_KEY not in record["other_config"]:
                remove_snapshot(api, snapshot, snapshot_record)
        for vif in record["VIFs"]:
            vanish(api, "VIF.destroy", vif)
        for vbd in record["VBDs"]:
            vanish(api, "VBD.destroy", vbd)
    for vdi, vdi_record in marked(api, "VDI", errand.migration).items():
        # By force from a task of ours: a worker that is stopped in mid-PUT, and shall find nothing when it wakes.
        dom0.let_go(api, vdi, force=bool(tasks.unended_of(api, vdi_record["uuid"])))
        if WRITTEN_KEY in vdi_record["other_config"]:
            api.call("VDI.set_name_description", vdi, f"{KEPT} {errand.workflow}; remove it when it is of no more use")
        else:
            vanish(api, "VDI.destroy", vdi)
    tasks.clear(api, errand.migration)
    if shell is not None:
        vanish(api, "VM.destroy", shell[0])  # last: an attempt that dies before finds its snapshots by it
    left = marked(api, "VDI", errand.migration, snapshots=True).values()
    return RemovedShell(kept_vdis=tuple(sorted(vdi["uuid"] for vdi in left)))
