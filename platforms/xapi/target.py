"""A pool as the activities see it: :class:`platforms.ports.Target`."""

from datetime import datetime

from contracts.after import Vitals
from contracts.config import TargetConfig
from contracts.errors import FerryError
from contracts.guest_templates import choose_template
from contracts.leftovers import Found
from contracts.machine import OwnerMark, Power
from contracts.move_disk import MoveDiskReport, MoveDiskRequest
from contracts.names import SOURCE_MACHINE_KEY
from contracts.steps import BaseReport, Errand, RemovedShell, Shell, ShellDisk, ShellOrder, SnapshotReport, TargetFacts
from contracts.test_boot import TestMade, TestOrder
from platforms.xapi import blueprint, leftovers, power, tasks
from platforms.xapi import dom0 as dom0_vbds
from platforms.xapi.bases import drop_bases, take_bases
from platforms.xapi.checksum import VdiChecksum, unended
from platforms.xapi.connection import Connection
from platforms.xapi.console import console
from platforms.xapi.facts import describe, facts
from platforms.xapi.lookup import disk_vbds, other_owner, vm_ref
from platforms.xapi.move_disk import move_disks
from platforms.xapi.nbd_ranges import VdiRanges, open_ranges
from platforms.xapi.never_ran import why_it_may_have_run
from platforms.xapi.read_back import VdiReadBack
from platforms.xapi.shell import make_shell, remove_shell
from platforms.xapi.snapshots import find_snapshot, our_snapshots, snapshot_shell
from platforms.xapi.test_boot import drop_test, make_test, start_test
from platforms.xapi.vdi import VdiTarget
from platforms.xapi.vitals import reboot, vitals


class XapiTarget:
    """Logs in when it is first asked for something. Safe to use from any thread."""

    def __init__(self, name: str, config: TargetConfig) -> None:
        self.name = name
        self._config = config
        self._api = Connection(name, config)

    def close(self) -> None:
        """Log out and hang up."""
        self._api.close()

    def check(self) -> str:
        """One line about the pool."""
        return describe(self._api)

    def facts(self, sr: str | None) -> TargetFacts:
        """What the preflight must know."""
        return facts(self._api, self._config, sr)

    def other_owner(self, machine_id: str, migration: str) -> OwnerMark | None:
        """By the shells of a machine that cannot be marked."""
        return other_owner(self._api, machine_id, migration)

    def template_for(self, guest_os: str, asked: str = "") -> str:
        """The best template of the pool for a guestId, or the one that is asked for; empty when it has none."""
        records = self._api.call("VM.get_all_records").values()
        names = {
            each["uuid"]: each["name_label"] for each in records if each["is_a_template"] and not each["is_a_snapshot"]
        }
        if asked:
            return asked if asked in names.values() else names.get(asked, "")
        return choose_template(guest_os, set(names.values()))

    def make_shell(self, order: ShellOrder) -> Shell:
        """Make the VM, its start blocked, or complete what an earlier attempt made."""
        return make_shell(self._api, order)

    def remove_shell(self, errand: Errand) -> RemovedShell:
        """Remove the VM; VDIs that may hold data stay."""
        return remove_shell(self._api, errand)

    def open_disk(self, errand: Errand, disk: ShellDisk) -> VdiTarget:
        """A VDI to be written."""
        return VdiTarget(self._api, errand, disk)

    def raise_epoch(self, vm: str, mark: OwnerMark) -> None:
        """Refuse steps that were ordered before."""
        power.raise_epoch(self._api, vm, mark)

    def find_snapshot(self, vm: str, errand: Errand) -> SnapshotReport:
        """The pre-start snapshot that was taken."""
        return find_snapshot(self._api, vm, errand)

    def snapshot_shell(self, vm: str, errand: Errand) -> SnapshotReport:
        """The pre-start snapshot."""
        return snapshot_shell(self._api, vm, errand)

    def unblock(self, vm: str, mark: OwnerMark) -> None:
        """Allow the start."""
        power.unblock(self._api, vm, mark)

    def block(self, vm: str) -> None:
        """Forbid the start again."""
        power.block(self._api, vm_ref(self._api, vm), blueprint.GOING_BACK)

    def why_it_may_have_run(self, vm: str, mark: OwnerMark) -> str:
        """Empty where it is certain that it never ran."""
        return why_it_may_have_run(self._api, vm, mark)

    def start(self, vm: str, mark: OwnerMark) -> None:
        """The point of no automatic return (SAFETY 17)."""
        power.start(self._api, vm, mark)

    def stop(self, vm: str) -> None:
        """Stop it, hard, and see it halted."""
        power.stop(self._api, vm)

    def power(self, vm: str) -> Power:
        """Whether it runs."""
        return power.power(self._api, vm)

    def vitals(self, vm: str) -> Vitals:
        """Its power, its boot, and what its guest tells."""
        return vitals(self._api, vm)

    def console(self, vm: str) -> tuple[bytes, bytes]:
        """Text, or a picture."""
        return console(self._api, vm)

    def reboot(self, vm: str, mark: OwnerMark, booted_at: datetime | None) -> None:
        """By the guest's tools."""
        reboot(self._api, vm, mark, booted_at)

    def move_disks(self, request: MoveDiskRequest) -> MoveDiskReport:
        """While the VM runs."""
        return move_disks(self._api, request)

    def make_test(self, order: TestOrder) -> TestMade:
        """Clones in a VM that meets nobody."""
        return make_test(self._api, order)

    def start_test(self, order: TestOrder) -> None:
        """Boot it."""
        start_test(self._api, order)

    def drop_test(self, order: TestOrder) -> None:
        """Leave nothing of it."""
        drop_test(self._api, order)

    def finish(self, vm: str, errand: Errand) -> None:
        """Leave no dom0 VBD, no task, no snapshot but the pre-start one, and no claim on a source that bears no mark.

        Raises:
            FerryError: ``xapi.vdi_held`` when dom0 does not let go; ``xapi.busy`` while it computes a checksum.
        """
        api = self._api
        if unended(api, errand.migration):
            raise FerryError("xapi.busy", f"{errand.vm}: the pool still computes a checksum, which nobody can stop")
        drop_bases(api, errand)
        machine = vm_ref(api, vm)
        snapshots = our_snapshots(api, machine, errand.migration)
        vdis = [vbd["VDI"] for ref in (machine, *snapshots) for vbd in disk_vbds(api, ref).values()]
        for vdi in vdis:
            dom0_vbds.let_go(api, vdi, force=False)
        tasks.clear(api, errand.migration)
        for ref in (machine, *snapshots):  # a snapshot that is reverted to would bring the claim back
            api.call("VM.remove_from_other_config", ref, SOURCE_MACHINE_KEY)

    def leftovers(self, subject: str = "") -> list[Found]:
        """All that bears a mark of Ferry."""
        return leftovers.leftovers(self._api, self.name)

    def remove_leftover(self, found: Found) -> None:
        """Take away one of them."""
        leftovers.remove(self._api, found)

    def runs(self, migration: str) -> bool:
        """Whether its VM is not halted."""
        return leftovers.runs(self._api, migration)

    def take_bases(self, vm: str, errand: Errand) -> BaseReport:
        """Snapshots to be read back while the source runs."""
        return take_bases(self._api, vm, errand)

    def drop_bases(self, errand: Errand) -> None:
        """Remove them."""
        drop_bases(self._api, errand)

    def read_difference(self, vdi: str, base: str, errand: Errand) -> VdiReadBack:
        """What of a VDI is not as in the base."""
        return VdiReadBack(self._api, vdi, errand, base=base)

    def open_ranges(self, vdi: str, errand: Errand) -> VdiRanges | None:
        """Parts of a VDI by NBD; None where the pool offers none."""
        return open_ranges(self._api, vdi, errand)

    def read_back(self, vdi: str, errand: Errand) -> VdiReadBack:
        """The stored content of a VDI or snapshot VDI."""
        return VdiReadBack(self._api, vdi, errand)

    def checksum(self, vdi: str, errand: Errand, asker: str) -> VdiChecksum:
        """The MD5 of a VDI, computed by the pool."""
        return VdiChecksum(self._api, vdi, errand, asker)
