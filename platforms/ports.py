"""What activities ask of a platform, whichever it is. All calls block: they run in threads.

A machine is named by its ``machine_id`` (instanceUuid), a shell and its VDIs by their uuids, so that names,
morefs and opaque refs may change underneath. Every call is idempotent: it looks before it makes, and finds
by its mark what an earlier attempt made. All raise :class:`contracts.errors.FerryError` only.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from contracts.after import RemoveOrder, Retired, RetireOrder, Vitals
from contracts.assessment import Grouped, Named, Unread
from contracts.leftovers import Found
from contracts.machine import Machine, MachineSummary, OwnerMark, Power, StoreRoom
from contracts.move_disk import MoveDiskReport, MoveDiskRequest
from contracts.steps import (
    BaseReport,
    Errand,
    FenceJournal,
    Freeze,
    RemovedShell,
    Shell,
    ShellDisk,
    ShellOrder,
    SnapshotReport,
    SourceFacts,
    TargetFacts,
)
from contracts.test_boot import TestMade, TestOrder
from disks.protocols import Checksum, DiskSource, DiskTarget, ReadBack, TargetRanges


class Source(Protocol):
    """Where machines come from."""

    def close(self) -> None:
        """Log out and give back connections."""
        ...

    def check(self) -> str:
        """Log in and answer one line about the system (product and version), for `ferry doctor`."""
        ...

    def machines(self) -> list[MachineSummary]:
        """All machines, sorted by name."""
        ...

    def names(self) -> tuple[list[Named], int]:
        """All machines but templates, by name; and how many templates there are."""
        ...

    def groups(self, refs: Sequence[str], *, tags: bool) -> dict[str, Grouped]:
        """Folder and (if wanted) tags of these, as far as they can be read."""
        ...

    def allocated(self, refs: Sequence[str]) -> dict[str, dict[int, int]]:
        """By moref: a disk's key to the bytes that are allocated of it, as far as that is known."""
        ...

    def whole_machines(self, refs: Sequence[str]) -> list[Machine | Unread]:
        """Many at once, whole but for their tags. One that cannot be read is told, and keeps nobody from the others."""
        ...

    def machine(self, vm: str) -> Machine:
        """One machine by name, instanceUuid or moref. Raises ``vm.unknown``, ``vm.ambiguous``."""
        ...

    def facts(self, machine: Machine | None) -> SourceFacts:
        """What the preflight must know besides the machine itself: the system, its hosts, our privileges on it.

        None: of the whole system, for `ferry doctor`.
        """
        ...

    def claim(self, machine_id: str, mark: OwnerMark) -> None:
        """Put the owner mark on it (SAFETY 12). Raises ``vm.already_migrating`` for another's mark."""
        ...

    def release(self, machine_id: str, migration: str) -> None:
        """Take our own mark off; another's mark, or none, is left alone."""
        ...

    def raise_epoch(self, machine_id: str, mark: OwnerMark) -> None:
        """Write a higher epoch into our mark (SAFETY 14); a lower one is ignored."""
        ...

    def remove_snapshots(self, machine_id: str, refs: Collection[str], mark: OwnerMark) -> tuple[str, ...]:
        """Remove these snapshots of other people and no others, and wait until the disks are consolidated.

        Returns:
            The names of those that were still there.

        Raises:
            FerryError: ``source.stale_epoch`` where the machine is not ours any more.
        """
        ...

    def eject_iso(self, machine_id: str, mark: OwnerMark) -> tuple[str, ...]:
        """Leave empty CD drives; answers what was ejected. Raises ``source.stale_epoch``."""
        ...

    def change_tracking_on(self, machine_id: str) -> bool:
        """See to it that all disks are tracked (switch on, stun if it runs, read back).

        Returns:
            Whether it was off before (then it is switched off at the end).
        """
        ...

    def change_tracking_off(self, machine_id: str) -> None:
        """Switch it off again."""
        ...

    def freeze(self, machine_id: str, errand: Errand, pass_no: int, *, final: bool) -> Freeze:
        """Freeze all disks at one moment: our snapshot, or none where the machine is off and needs none.

        A snapshot that an earlier attempt of the same pass made is adopted; older ones of ours are removed
        first (SAFETY 8). Then each disk's transport is probed. With ``final`` the machine must be off.

        Raises:
            FerryError: ``vsphere.foreign_snapshot``, ``transport.none`` (thawed again), ``vsphere.powered_on_again``.
        """
        ...

    def check_freeze(self, machine_id: str, freeze: Freeze) -> None:
        """Raises ``vsphere.freeze_void`` when snapshot, chain, or (final) the power is not as at the freeze."""
        ...

    def thaw(self, machine_id: str, migration: str) -> None:
        """Remove every snapshot of this migration, wait, and see that nothing is left to consolidate."""
        ...

    def room(self, machine_id: str) -> list[StoreRoom]:
        """What a snapshot that exists takes of its datastores, and what these have left (SAFETY 10)."""
        ...

    def open_disk(self, machine_id: str, freeze: Freeze, disk_id: str) -> DiskSource:
        """A frozen disk, to be read by the transport that the freeze names."""
        ...

    def power(self, machine_id: str) -> Power:
        """Whether it runs."""
        ...

    def shut_down_guest(self, machine_id: str, mark: OwnerMark) -> None:
        """Ask the guest to shut down, after re-reading the epoch (SAFETY 14); returns at once.

        Raises ``preflight.tools_not_running``, ``source.stale_epoch``.
        """
        ...

    def power_off(self, machine_id: str, mark: OwnerMark) -> None:
        """Switch it off hard, after re-reading the epoch (SAFETY 14: ``source.stale_epoch``). Off is success."""
        ...

    def power_on(self, machine_id: str, mark: OwnerMark) -> None:
        """Switch it on, after re-reading the epoch. On is success."""
        ...

    def fence(self, machine_id: str, mark: OwnerMark) -> FenceJournal:
        """Keep an off machine from coming back onto the network by itself; answers what was changed.

        Raises ``source.stale_epoch``.
        """
        ...

    def override(self, machine_id: str, mark: OwnerMark) -> FenceJournal:
        """See to it that nothing but a person switches it on (HA, DRS, auto-start); answers what was changed.

        What may not be changed stays, and is named. Raises ``source.stale_epoch``.
        """
        ...

    def undo_overrides(self, machine_id: str, mark: OwnerMark) -> None:
        """As HA, DRS and auto-start were before. Raises ``source.stale_epoch``."""
        ...

    def unfence(self, machine_id: str, journal: FenceJournal, mark: OwnerMark) -> None:
        """Undo what the journal names. Raises ``source.stale_epoch``."""
        ...

    def leftovers(self, subject: str = "") -> list[Found]:
        """All that bears a mark of Ferry, whoever's it is; of one machine (``machine_id``), if it is named."""
        ...

    def remove_leftover(self, found: Found) -> None:
        """Take away one of them. It was seen a moment ago to be as it was when it was listed. Gone is success."""
        ...

    def retire(self, machine_id: str, order: RetireOrder) -> Retired:
        """Rename, annotate and mark a migrated machine that is off; done before is success.

        Raises ``source.stale_epoch``, ``vsphere.powered_on_again``.
        """
        ...

    def remove(self, machine_id: str, order: RemoveOrder) -> None:
        """Remove a retired machine with its disks. Raises ``retire.refused`` for any other, ``vm.gone``."""
        ...


class Target(Protocol):
    """Where machines go to: a pool."""

    def close(self) -> None:
        """Log out and give back connections."""
        ...

    def check(self) -> str:
        """Log in and answer one line about the pool, for `ferry doctor`."""
        ...

    def facts(self, sr: str | None) -> TargetFacts:
        """What the preflight must know. ``sr`` by name or uuid; None is the configured default."""
        ...

    def other_owner(self, machine_id: str, migration: str) -> OwnerMark | None:
        """Another migration that fills a shell from that machine, one that cannot bear the mark itself (SAFETY 12)."""
        ...

    def template_for(self, guest_os: str, asked: str = "") -> str:
        """Name of the template that a machine of that guestId is made from; empty when the pool has none."""
        ...

    def make_shell(self, order: ShellOrder) -> Shell:
        """Make the VM with all that belongs to it, its start blocked, or find the one made before.

        Raises ``vm.already_migrating`` where :meth:`other_owner` finds one.
        """
        ...

    def remove_shell(self, errand: Errand) -> RemovedShell:
        """Remove the VM of this migration. VDIs that were never written go too, the others are kept and named."""
        ...

    def open_disk(self, errand: Errand, disk: ShellDisk) -> DiskTarget:
        """A VDI to be written."""
        ...

    def raise_epoch(self, vm: str, mark: OwnerMark) -> None:
        """Write a higher epoch into the shell's mark; a lower one is ignored."""
        ...

    def find_snapshot(self, vm: str, errand: Errand) -> SnapshotReport:
        """The pre-start snapshot that was taken. Raises ``verify.snapshot_gone``."""
        ...

    def snapshot_shell(self, vm: str, errand: Errand) -> SnapshotReport:
        """The pre-start snapshot; the one made before is found again."""
        ...

    def unblock(self, vm: str, mark: OwnerMark) -> None:
        """Allow the start (SAFETY 14: its own step). Raises ``xapi.shell_broken``, ``source.stale_epoch``."""
        ...

    def block(self, vm: str) -> None:
        """Forbid the start again."""
        ...

    def why_it_may_have_run(self, vm: str, mark: OwnerMark) -> str:
        """Empty only where it is certain that it never ran and cannot start now. Raises ``source.stale_epoch``."""
        ...

    def start(self, vm: str, mark: OwnerMark) -> None:
        """Start it after re-reading the epoch; running is success. The point of no automatic return."""
        ...

    def stop(self, vm: str) -> None:
        """Stop it, hard if need be, and see it halted. Halted is success."""
        ...

    def power(self, vm: str) -> Power:
        """Whether it runs."""
        ...

    def vitals(self, vm: str) -> Vitals:
        """How it does, as it can be seen from outside. Raises ``xapi.shell_broken`` when it is gone."""
        ...

    def console(self, vm: str) -> tuple[bytes, bytes]:
        """What a running VM shows: text as a terminal gets it, or else a PNG.

        Raises ``smoke.console_busy``, ``smoke.console_unreadable``.
        """
        ...

    def reboot(self, vm: str, mark: OwnerMark, booted_at: datetime | None) -> None:
        """In order, after re-reading the epoch; one that has booted since is left alone.

        Raises ``smoke.no_reboot``, ``source.stale_epoch``.
        """
        ...

    def move_disks(self, request: MoveDiskRequest) -> MoveDiskReport:
        """Move a running VM's disks to another SR. Raises ``move.refused``, ``xapi.busy``."""
        ...

    def make_test(self, order: TestOrder) -> TestMade:
        """A VM of clones of the shell's disks, on a network without uplink; found again where it was made before.

        Raises ``source.stale_epoch`` when that test, or a later one, is over.
        """
        ...

    def start_test(self, order: TestOrder) -> None:
        """Boot it, only where it meets nobody. Raises ``xapi.cannot_start``, ``xapi.shell_broken``."""
        ...

    def drop_test(self, order: TestOrder) -> None:
        """Stop it and leave nothing of it; from here on nothing of it is made any more."""
        ...

    def finish(self, vm: str, errand: Errand) -> None:
        """Clear what is ours and no longer needed: leaked dom0 VBDs, finished tasks, snapshots to be read back."""
        ...

    def take_bases(self, vm: str, errand: Errand) -> BaseReport:
        """Snapshots of the disks as they are now, against which a difference can be read later.

        None where ranges can be read instead, where no difference can be had, or where they do not fit. Those taken
        before of the same content are found again; of another content they go.
        """
        ...

    def drop_bases(self, errand: Errand) -> None:
        """Remove these snapshots."""
        ...

    def read_difference(self, vdi: str, base: str, errand: Errand) -> ReadBack:
        """What of a VDI is not as in the base, whole blocks of whatever size; ``blocks`` raises ``NotOffered``."""
        ...

    def open_ranges(self, vdi: str, errand: Errand) -> TargetRanges | None:
        """The stored content of a VDI or snapshot VDI, by offset; None where the pool does not offer it."""
        ...

    def read_back(self, vdi: str, errand: Errand) -> ReadBack:
        """The stored content of a VDI or snapshot VDI; ``blocks`` raises ``NotOffered`` where no form is served."""
        ...

    def checksum(self, vdi: str, errand: Errand, asker: str) -> Checksum:
        """Have the pool compute the MD5 of a VDI or snapshot VDI, which nobody can stop."""
        ...

    def leftovers(self, subject: str = "") -> list[Found]:
        """All that bears a mark of Ferry, whoever's it is. ``subject`` is for sources: a pool is always read whole."""
        ...

    def remove_leftover(self, found: Found) -> None:
        """Take away one of them. It was seen a moment ago to be as it was when it was listed. Gone is success."""
        ...

    def runs(self, migration: str) -> bool:
        """Whether a VM that a migration made is not halted."""
        ...
