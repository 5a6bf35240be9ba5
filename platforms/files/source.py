"""Machines in files as a :class:`platforms.ports.Source`: they are off, and can only be read (docs/decisions/0006)."""

import contextlib
import threading
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from contracts.after import RemoveOrder, Retired, RetireOrder
from contracts.assessment import Grouped, Named, Unread
from contracts.config import FilesConfig
from contracts.errors import FerryError
from contracts.leftovers import Found
from contracts.machine import Firmware, Machine, MachineSummary, Nic, OwnerMark, Power, SourceDisk, StoreRoom
from contracts.steps import Errand, FenceJournal, Freeze, FrozenDisk, Rung, SourceFacts
from platforms.files.described import DescribedDisk
from platforms.files.digests import check
from platforms.files.disk import TRANSPORT, FileDisk
from platforms.files.folder import Appliance, appliances_of, place_of, places
from platforms.files.images import Image, check_whole, image_of
from platforms.files.ova import readable
from platforms.files.partitions import HEAD, boots_by


class FilesSource:
    """A folder that this worker (and every other of its queue) can read."""

    def __init__(self, name: str, config: FilesConfig) -> None:
        self.name, self._folder = name, config.folder
        self._proven: set[tuple[str, str, str]] = set()
        """File, its content id, its digest: read once and found to be as the appliance says."""
        self._known: dict[str, Path] = {}

    def close(self) -> None:
        """Nothing is held."""

    def check(self) -> str:
        """Such as ``3 machines in /exports``."""
        count = sum(1 for _ in places(self._folder))
        return f"{count} machine{'' if count == 1 else 's'} in {self._folder}"

    # -- inventory

    def _appliances(self) -> tuple[list[Appliance], list[Unread]]:
        found: list[Appliance] = []
        unread: list[Unread] = []
        for path in places(self._folder):
            try:
                with readable():
                    found += appliances_of(self._folder, path, self.name)
            except FerryError as error:
                ref = place_of(self._folder, path)
                unread.append(Unread(ref=ref, name=Path(ref).stem, code=error.code, message=error.message))
        return found, unread

    def machines(self) -> list[MachineSummary]:
        """Those that can be read, by name."""
        return sorted((_summary(each) for each in self._appliances()[0]), key=lambda line: line.name)

    def names(self) -> tuple[list[Named], int]:
        """Those that cannot be read too."""
        found, unread = self._appliances()
        named = [Named(ref=each.ref, name=each.told.name, machine_id=each.machine_id) for each in found]
        return [*named, *(Named(ref=each.ref, name=each.name) for each in unread)], 0

    def groups(self, refs: Sequence[str], *, tags: bool) -> dict[str, Grouped]:
        """The folder that each lies in; files have no tags."""
        return {ref: Grouped(folder=ref.rpartition("/")[0]) for ref in refs}

    def allocated(self, refs: Sequence[str]) -> dict[str, dict[int, int]]:
        """Of each disk the size of its file: what has to be read."""
        found: dict[str, dict[int, int]] = {}
        for each in self._appliances()[0]:
            with contextlib.suppress(FerryError):  # told where the machine is read
                if each.ref in refs:
                    found[each.ref] = {key: each.part(disk).size for key, disk in enumerate(each.told.disks)}
        return found

    def whole_machines(self, refs: Sequence[str]) -> list[Machine | Unread]:
        """See the protocol."""
        found, unread = self._appliances()
        lacks: dict[str, Machine | Unread] = {each.ref: each for each in unread}
        by_ref = {each.ref: each for each in found}
        answers: list[Machine | Unread] = []
        for ref in refs:
            if ref in by_ref:
                try:
                    answers.append(self._machine(by_ref[ref]))
                except FerryError as error:
                    name = by_ref[ref].told.name
                    answers.append(Unread(ref=ref, name=name, code=error.code, message=error.message))
            elif ref in lacks:
                answers.append(lacks[ref])
        return answers

    def machine(self, vm: str) -> Machine:
        """By name, place, or id. One that cannot be read says why."""
        found, unread = self._appliances()
        matches = [each for each in found if vm in (each.ref, each.machine_id)] or [
            each for each in found if each.told.name == vm
        ]
        if len(matches) > 1:
            places = ", ".join(each.ref for each in matches[:10])
            raise FerryError("vm.ambiguous", f"{len(matches)} appliances are called {vm!r}: {places}")
        if not matches:
            lack = next((each for each in unread if vm in (each.ref, each.name)), None)
            if lack is not None:
                raise FerryError(lack.code, lack.message)
            raise FerryError("vm.unknown", f"{self._folder} has no appliance {vm!r}")
        return self._machine(matches[0])

    @readable()
    def _machine(self, appliance: Appliance) -> Machine:
        told = appliance.told
        images = [image_of(appliance.part(disk), disk.file) for disk in told.disks]
        on_disk = _firmware_on(images[0]) if images else None
        disks = [_disk(key, disk, image) for key, (disk, image) in enumerate(zip(told.disks, images, strict=True))]
        return Machine(
            source=self.name, machine_id=appliance.machine_id, ref=appliance.ref, name=told.name, power=Power.OFF,
            firmware=told.firmware or on_disk or Firmware.BIOS,
            firmware_on_disk=on_disk.value if on_disk is not None else "", firmware_told=told.firmware is not None,
            hardware_told=not told.guessed,
            secure_boot=told.secure_boot, bios_uuid=told.bios_uuid, cpus=told.cpus,
            cores_per_socket=told.cores_per_socket if told.cpus % told.cores_per_socket == 0 else 1,
            memory=told.memory, guest_os=told.guest_os, guest_name=told.guest_name, description=told.description,
            has_cdrom=told.has_cdrom, change_tracking_supported=False, read_only=True, in_files=True,
            disks=tuple(disks),
            nics=tuple(
                Nic(index=at, mac=nic.mac, network=nic.network, kind=nic.kind, label=nic.label)
                for at, nic in enumerate(told.nics)
            ),
        )  # fmt: skip

    def facts(self, machine: Machine | None) -> SourceFacts:
        """A folder has neither hosts nor rights."""
        return SourceFacts(product=f"files in {self._folder}", in_files=True)

    # -- freeze: what lies in files stands still, or is seen to have changed

    @readable()
    def freeze(self, machine_id: str, errand: Errand, pass_no: int, *, final: bool) -> Freeze:
        """Files are held against the digests that the appliance brings along."""
        appliance = self._find(machine_id)
        frozen = []
        for key, disk in enumerate(appliance.told.disks):
            image = image_of(appliance.part(disk), disk.file)
            content = _content_id(image)
            self._prove(appliance, disk, image, content)
            reason = f"{image.form} in {appliance.ref}"
            frozen.append(
                FrozenDisk(
                    disk_id=_disk_id(key, disk), key=key, slot=disk.slot, capacity=image.capacity, content_id=content,
                    transport=TRANSPORT, reason=reason,
                    ladder=(Rung(transport=TRANSPORT, usable=True, reason=reason),),
                )
            )  # fmt: skip
        return Freeze(pass_no=pass_no, snapshot=None, final=final, disks=tuple(frozen), taken_at=datetime.now(UTC))

    def _prove(self, appliance: Appliance, disk: DescribedDisk, image: Image, content: str) -> None:
        """Once for each state of its files: as its digest says, and whole."""
        known = appliance.digest(disk)
        seen = (disk.file, content, known[1] if known is not None else "")
        if seen in self._proven:
            return
        if known is not None:
            check(disk.file, appliance.part(disk), *known, threading.Event())
        check_whole(image, disk.file)
        self._proven.add(seen)

    @readable()
    def check_freeze(self, machine_id: str, freeze: Freeze) -> None:
        """Raises ``file.changed``."""
        appliance = self._find(machine_id)
        for disk, frozen in zip(appliance.told.disks, freeze.disks, strict=False):
            if _content_id(image_of(appliance.part(disk), disk.file)) != frozen.content_id:
                raise FerryError("file.changed", f"{disk.file} of {appliance.ref} was written to meanwhile")
        if len(appliance.told.disks) != len(freeze.disks):
            raise FerryError("file.changed", f"{appliance.ref} has {len(appliance.told.disks)} disks now")

    @readable()
    def open_disk(self, machine_id: str, freeze: Freeze, disk_id: str) -> FileDisk:
        """See the protocol."""
        appliance = self._find(machine_id)
        for key, disk in enumerate(appliance.told.disks):
            if _disk_id(key, disk) == disk_id:
                image = image_of(appliance.part(disk), disk.file)
                return FileDisk(image, disk.slot, f"{image.form} in {appliance.ref}")
        raise FerryError("file.changed", f"{appliance.ref} has no disk {disk_id} any more")

    def power(self, machine_id: str) -> Power:
        """Off. Whether what it was exported from runs, nobody can see here."""
        return Power.OFF

    def _find(self, machine_id: str) -> Appliance:
        """By where it lay before, else anywhere; then what is wrong with it is told."""
        known = self._known.get(machine_id)
        there = known is not None and known.is_file()
        found = appliances_of(self._folder, known, self.name) if known and there else self._appliances()[0]
        for each in found:
            if each.machine_id == machine_id:
                self._known[machine_id] = self._folder / each.ref.partition("#")[0]
                return each
        raise FerryError("vm.gone", f"the appliance is not in {self._folder} any more")

    # -- what there is not: nothing of it is ever written

    def claim(self, machine_id: str, mark: OwnerMark) -> None:
        """Its shell bears the mark."""

    def release(self, machine_id: str, migration: str) -> None:
        """There is none."""

    def raise_epoch(self, machine_id: str, mark: OwnerMark) -> None:
        """There is none."""

    def remove_snapshots(self, machine_id: str, refs: Collection[str], mark: OwnerMark) -> tuple[str, ...]:
        """There are none."""
        return ()

    def eject_iso(self, machine_id: str, mark: OwnerMark) -> tuple[str, ...]:
        """There is none."""
        return ()

    def change_tracking_on(self, machine_id: str) -> bool:
        """There is none."""
        return False

    def change_tracking_off(self, machine_id: str) -> None:
        """There is none."""

    def thaw(self, machine_id: str, migration: str) -> None:
        """Nothing was frozen."""

    def room(self, machine_id: str) -> list[StoreRoom]:
        """Nothing grows."""
        return []

    def shut_down_guest(self, machine_id: str, mark: OwnerMark) -> None:
        """It is off."""

    def power_off(self, machine_id: str, mark: OwnerMark) -> None:
        """It is off."""

    def power_on(self, machine_id: str, mark: OwnerMark) -> None:
        """Raises ``source.cannot_start``: a file runs nowhere."""
        raise FerryError("source.cannot_start", "it lies in files: start what it was exported from")

    def fence(self, machine_id: str, mark: OwnerMark) -> FenceJournal:
        """Nothing to fence."""
        return FenceJournal()

    def override(self, machine_id: str, mark: OwnerMark) -> FenceJournal:
        """Nothing to override."""
        return FenceJournal()

    def undo_overrides(self, machine_id: str, mark: OwnerMark) -> None:
        """Nothing to undo."""

    def unfence(self, machine_id: str, journal: FenceJournal, mark: OwnerMark) -> None:
        """Nothing to undo."""

    def leftovers(self, subject: str = "") -> list[Found]:
        """Nothing of ours is left in a folder that is only read."""
        return []

    def remove_leftover(self, found: Found) -> None:
        """There is none."""

    def retire(self, machine_id: str, order: RetireOrder) -> Retired:
        """Files keep their names."""
        return Retired(name="")

    def remove(self, machine_id: str, order: RemoveOrder) -> None:
        """Raises ``retire.refused``."""
        raise FerryError("retire.refused", "what lies in files is yours to remove")


def _disk_id(key: int, disk: DescribedDisk) -> str:
    plain = "".join(sign if sign.isalnum() or sign in ".-" else "_" for sign in disk.file)[-60:]
    return f"{key}-{disk.slot.replace(':', '.')}-{plain}"


def _disk(key: int, disk: DescribedDisk, image: Image) -> SourceDisk:
    return SourceDisk(
        disk_id=_disk_id(key, disk), key=key, slot=disk.slot, capacity=image.capacity, file=disk.file, thin=True,
        datastore_type="file",
    )  # fmt: skip


def _summary(appliance: Appliance) -> MachineSummary:
    told = appliance.told
    return MachineSummary(
        name=told.name, machine_id=appliance.machine_id, ref=appliance.ref, power=Power.OFF,
        guest_name=told.guest_name, cpus=told.cpus, memory=told.memory, disks=len(told.disks),
        capacity=sum(disk.capacity or _capacity(appliance, disk) for disk in told.disks),
    )  # fmt: skip


def _capacity(appliance: Appliance, disk: DescribedDisk) -> int:
    try:
        with readable():
            return image_of(appliance.part(disk), disk.file).capacity
    except FerryError:
        return 0  # which its preflight tells


def _content_id(image: Image) -> str:
    """Of all files that it lies in: another one once somebody wrote to them."""
    seen = [each.stat() for each in image.files]
    return " ".join(f"{each.st_size}-{each.st_mtime_ns}" for each in seen)


def _firmware_on(image: Image) -> Firmware | None:
    disk = FileDisk(image, "the first disk", "")
    try:
        head = bytearray(min(HEAD, disk.capacity))
        disk.read_into(0, memoryview(head))
    finally:
        disk.close()
    return boots_by(bytes(head))
