"""Freeze: all disks of a machine at one moment, and how a frozen disk is read (SAFETY 8, 9)."""

from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from contracts.steps import Errand, Freeze, FrozenDisk
from platforms.vsphere import inventory
from platforms.vsphere.landmark import PRESENT, Landmark
from platforms.vsphere.located import Located
from platforms.vsphere.marks import foreign_met, note_foreign
from platforms.vsphere.properties import read_all, read_one
from platforms.vsphere.session import Session
from platforms.vsphere.snapshots import settled, snapshot_name, take_snapshot, thaw
from platforms.vsphere.transports.descriptor import content_id
from platforms.vsphere.transports.ladder import Ladder
from platforms.vsphere.transports.reader import NotServed


def freeze(session: Session, ladder: Ladder, vm: Located, errand: Errand, pass_no: int, *, final: bool) -> Freeze:
    """See :meth:`platforms.ports.Source.freeze`."""
    settled(session, vm)
    properties = vm.properties(session)
    foreign = _foreign(session, vm, properties, errand.migration)
    if errand.read_only and not final:
        raise FerryError("vsphere.licence", f"{vm.name} cannot be frozen while it runs")
    if final:
        _is_off(vm, properties)
    snapshot = _adoptable(properties, errand.migration, pass_no) if not final else None
    if snapshot is None:
        thaw(session, vm, errand.migration)  # older ones of ours go first: remove before create
        if not (final and (errand.read_only or _needs_no_snapshot(session, vm, properties))):
            _still_ours(session, vm, errand)
            snapshot = take_snapshot(session, vm, errand.migration, pass_no, final=final)
    devices = _devices(session, vm, snapshot)
    frozen = Freeze(
        pass_no=pass_no,
        snapshot=snapshot._moId if snapshot is not None else None,
        final=final,
        disks=tuple(_frozen_disks(session, vm, devices, snapshot is not None, _told(properties, foreign))),
        taken_at=datetime.now(UTC),
        foreign=tuple(foreign),
    )
    if final:
        if snapshot is None:
            frozen = frozen.model_copy(
                update={"disks": tuple(_with_content_id(session, vm, disk) for disk in frozen.disks)}
            )
        _is_off(vm, vm.properties(session))  # the ids count only if nobody started it meanwhile
    stores = {
        told["name"]: told["summary.type"]
        for _, told in read_all(session, vim.Datastore, ["name", "summary.type"], "list the datastores")
    }
    climbed = tuple(
        ladder.climb(vm, disk, frozen.snapshot, stores, final=final, read_only=errand.read_only)
        for disk in frozen.disks
    )
    frozen = frozen.model_copy(update={"disks": climbed})
    refused = [f"{disk.slot}: {disk.reason}" for disk in climbed if not disk.transport]
    if refused:
        thaw(session, vm, errand.migration)
        raise FerryError("transport.none", "; ".join(refused))
    return frozen


def check_freeze(session: Session, vm: Located, freeze: Freeze) -> None:
    """See :meth:`platforms.ports.Source.check_freeze`.

    A machine that is off and stayed off is the same with our cold snapshot and, once that was consolidated (its
    leaf is empty), without: so a full read after the thaw can still be held against the freeze.
    That it ran in between and is off again shows by its change ids, which moved on; where there are none, by the
    content ids in its disks' descriptors, where the host serves them.
    """
    properties = vm.properties(session)
    if freeze.final:
        _is_off(vm, properties)
    known = [each.snapshot._moId for each in inventory.snapshots_of(properties)]
    wanted = [*freeze.foreign, *([freeze.snapshot] if freeze.snapshot is not None else [])]
    thawed = freeze.final and freeze.snapshot is not None and known == list(freeze.foreign)
    if known != wanted and not thawed:
        raise FerryError("vsphere.freeze_void", f"the snapshots are {known or 'none'}, they were {wanted or 'none'}")
    chains = _chains(session, vm)
    present = {disk.key: disk for disk in _disks_among(properties["config.hardware.device"])}
    for disk in freeze.disks:
        found = tuple(path for path, _ in chains.get(disk.key, []))
        if found != (disk.chain[:-1] if thawed else disk.chain):
            raise FerryError("vsphere.freeze_void", f"the chain of {disk.slot} is not what it was")
        if freeze.snapshot is None and disk.change_id:
            now = getattr(present[disk.key].backing, "changeId", None) if disk.key in present else None
            # Without one, tracking was switched off in the meantime, as at the end of a migration.
            if now and now != Landmark.parse(disk.change_id).change_id:
                raise FerryError("vsphere.freeze_void", f"{disk.slot} was written to: its change id moved on")
        if disk.content_id and content_id(session, disk.chain[-1], vm.datacenter) != disk.content_id:
            raise FerryError(
                "vsphere.powered_on_again", f"{disk.slot} was written to: {vm.name} was on in between, and off again"
            )


def _with_content_id(session: Session, vm: Located, disk: FrozenDisk) -> FrozenDisk:
    """Where no change id would tell that it ran in between."""
    if disk.change_id or not disk.flat:
        return disk
    try:
        return disk.model_copy(update={"content_id": content_id(session, disk.chain[-1], vm.datacenter)})
    except NotServed:
        return disk


def _is_off(vm: Located, properties: dict[str, Any]) -> None:
    if properties["runtime.powerState"] != "poweredOff":
        raise FerryError("vsphere.powered_on_again", f"{vm.name} is on, and had to be off")


def _foreign(session: Session, vm: Located, properties: dict[str, Any], migration: str) -> list[str]:
    """Refs of other people's snapshots, noted for the passes to come: their chain is read through (SAFETY 8)."""
    foreign = [each for each in inventory.snapshots_of(properties) if inventory.migration_of(each) != migration]
    if foreign:
        owner = inventory.owner_of(inventory.extra_config(properties))
        if owner is not None and owner.migration == migration:
            note_foreign(session, vm, properties, foreign)
    return [each.snapshot._moId for each in foreign]


def _told(properties: dict[str, Any], present: list[str]) -> str:
    """What a landmark keeps of them: all that were met, and that some are there now."""
    met = set(foreign_met(properties).split()) | set(present)
    return " ".join([*sorted(met), *([PRESENT] if present else [])])


def _still_ours(session: Session, vm: Located, errand: Errand) -> None:
    """A worker that was stopped before it froze, and wakes when the migration is over, leaves no snapshot behind."""
    owner = inventory.owner_of(inventory.extra_config(vm.properties(session)))
    if owner is None or owner.migration != errand.migration:
        raise FerryError("source.stale_epoch", f"{vm.name} no longer bears the mark of this migration")


def _adoptable(properties: dict[str, Any], migration: str, pass_no: int) -> Any | None:
    """The snapshot that an earlier attempt of the same pass made, if it is the only one of ours.

    Not one of a final pass: who knows what ran since it was taken.
    """
    ours = [each for each in inventory.snapshots_of(properties) if inventory.migration_of(each) == migration]
    if len(ours) != 1 or ours[0].name != snapshot_name(migration, pass_no) or inventory.is_final(ours[0]):
        return None
    return ours[0].snapshot


def _needs_no_snapshot(session: Session, vm: Located, properties: dict[str, Any]) -> bool:
    """Whether an off machine can be read and asked as it is (SAFETY 9)."""
    for disk in _disks_among(properties["config.hardware.device"]):
        change_id = getattr(disk.backing, "changeId", None)
        if change_id and not _answers_without_snapshot(session, vm, disk.key, change_id):
            return False
    return True


def _answers_without_snapshot(session: Session, vm: Located, key: int, change_id: str) -> bool:
    try:
        session.call(
            "ask what changed without a snapshot",
            lambda instance: vm.managed(instance).QueryChangedDiskAreas(None, key, 0, change_id),
        )
    except FerryError as error:
        if error.code in ("vsphere.unreachable", "vsphere.login_refused", "vsphere.certificate"):
            raise
        return False
    return True


def _devices(session: Session, vm: Located, snapshot: Any | None) -> list[Any]:
    """The hardware as it is frozen: of the snapshot, with its change ids; of an off machine, as it is now."""
    if snapshot is None:
        return list(vm.properties(session)["config.hardware.device"])
    try:
        found = read_one(session, snapshot, ["config.hardware.device"], f"read a snapshot of {vm.name}")
    except FerryError as error:
        if error.code != "vm.gone":
            raise
        raise FerryError("vsphere.busy", f"the snapshot of {vm.name} was removed at once by somebody else") from None
    return list(found["config.hardware.device"])


def _disks_among(devices: Any) -> list[Any]:
    return [each for each in devices if isinstance(each, vim.vm.device.VirtualDisk)]


def _chains(session: Session, vm: Located) -> dict[int, list[tuple[str, str]]]:
    """Device key to its links, base first: descriptor path, and the path of its raw extent (empty: it has none)."""
    session.call("refresh the layout", lambda instance: vm.managed(instance).RefreshStorageInfo())
    layout = read_one(session, vm.ref, ["layoutEx"], f"read the layout of {vm.name}").get("layoutEx")
    if layout is None:
        return {}
    files = {file.key: file for file in layout.file or []}

    def link(keys: list[int]) -> tuple[str, str]:
        parts = [files[key] for key in keys if key in files]
        descriptors = [part.name for part in parts if part.type == "diskDescriptor"]
        extents = [part.name for part in parts if part.type == "diskExtent"]
        raw = extents[0] if len(extents) == 1 and extents[0].endswith("-flat.vmdk") else ""
        return (descriptors[0] if descriptors else "", raw)

    return {disk.key: [link(each.fileKey) for each in disk.chain or []] for disk in layout.disk or []}


def _frozen_disks(
    session: Session, vm: Located, devices: list[Any], snapshotted: bool, foreign: str
) -> list[FrozenDisk]:
    chains = _chains(session, vm)
    by_key = {each.key: each for each in _disks_among(devices)}
    found: list[FrozenDisk] = []
    for disk in inventory.disks_of(devices, {}):
        backing: Any = by_key[disk.key].backing
        links = chains.get(disk.key, [])
        base = links[0] if links else ("", "")
        landmark = Landmark(
            getattr(backing, "changeId", None) or "", disk.backing_uuid, disk.key, disk.capacity, base[0], foreign
        )
        # One flat base under our leaf, or, without a snapshot, one flat base alone (SAFETY 9).
        if len(links) != (2 if snapshotted else 1):
            flat, reason = "", f"its chain has {len(links)} links"
        elif not base[1]:
            flat, reason = "", "its base is no flat file (vSAN, vVol, or sparse)"
        else:
            flat, reason = base[1], ""
        found.append(
            FrozenDisk(
                disk_id=disk.disk_id,
                key=disk.key,
                slot=disk.slot,
                capacity=disk.capacity,
                change_id=landmark.word(),
                backing_uuid=disk.backing_uuid,
                chain=tuple(path for path, _ in links),
                flat=flat,
                transport="",
                reason=reason,
            )
        )
    return found
