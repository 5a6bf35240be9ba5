"""Activities of the same names that tell what they were asked, and fail on order: for tests of the order of things."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.calendar import CalendarActivities
from activities.living import LivingActivities
from activities.running import as_application_error
from contracts.approved_steps import ApprovedStep, StepDone, StepOrder
from contracts.errors import FerryError
from contracts.machine import Firmware, Machine, Nic, OwnerMark, Power, SourceDisk
from contracts.machine_facts import SnapshotFacts
from contracts.notices import LivingAnswer, LivingOrder, Notice, NoticeAnswer, NoticeOrder
from contracts.record import AppendRecord, Entry
from contracts.steps import (
    BaseReport,
    BothProofs,
    CalendarAnswer,
    CalendarOrder,
    Check,
    CopyOrder,
    CopyReport,
    FenceJournal,
    FenceOrder,
    Freeze,
    FreezeOrder,
    FrozenDisk,
    NeverRan,
    NeverRanOrder,
    PoweredOff,
    PowerOffOrder,
    Preflight,
    PreflightOrder,
    ProofOrder,
    ProofReport,
    RemovedShell,
    SealOrder,
    SealReport,
    Shell,
    ShellDisk,
    ShellOrder,
    ShellRef,
    SnapshotReport,
    SourceOrder,
    UnfenceOrder,
)
from tests.workflows.scripted_after import StepsAfterTheStart

DISK = "2000-6000c29a-scsi0.0"


class ScriptedSteps(StepsAfterTheStart):
    """A source and a target that exist on paper. ``said``: the names of what was done, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.recorded: list[Entry] = []
        self.orders: list[Any] = []
        self.ordered: dict[str, Any] = {}
        self.notices: list[Notice] = []
        self.failures: dict[str, deque[FerryError]] = {}
        self.checks: tuple[Check, ...] = ()
        self.power = Power.ON
        self.target_power = Power.OFF
        self.copying: dict[str, asyncio.Event] = {}
        self.hold_copies = False
        self.fails_when_cut = ""
        """The code with which a copy or a power-off fails that is cut, as if its worker or its platform had gone."""
        self.dies_when_cut = False
        self.hold_power_off = self.misses_the_power = False
        self.hold_source_proof = False
        self.hold_preflight = False
        self.warm = True
        self.snapshots: tuple[SnapshotFacts, ...] = ()
        self.read_only = False
        self.copies_as = "delta"
        """What every pass is, but the first of a migration."""
        self.owner: OwnerMark | None = None
        self.mac = "00:50:56:aa:00:01"
        self.proof_holds = True
        self.reads_between = self.hold_target_proof = False
        self.tells_differences, self.serves_exports = False, True
        self.capacity = 1 << 30
        self.allocated = 1 << 20
        self.proofs_that_differ = 0
        """The next proofs of the target do not hold; those after them do."""
        self.source_proof_holds = True
        self.both_on_at_once = False
        self.may_have_run = ""

    def fail(self, name: str, code: str, message: str = "on order", times: int = 1) -> None:
        """The next calls of that step fail."""
        self.failures.setdefault(name, deque()).extend([FerryError(code, message)] * times)

    @activity.defn
    async def notify(self, order: NoticeOrder) -> NoticeAnswer:
        self.notices.extend(order.notices)
        return NoticeAnswer(sent=len(order.notices))

    @activity.defn
    async def members_gone(self, order: LivingOrder) -> LivingAnswer:
        return await LivingActivities().members_gone(order)

    def all(self) -> list[Callable[..., Any]]:
        """The activities to register."""
        return [
            getattr(self, name) for name in dir(self) if hasattr(getattr(self, name), "__temporal_activity_definition")
        ]

    def epoch_of(self, name: str) -> int:
        """Under which epoch a step was ordered last."""
        return int(self.ordered[name].epoch)

    def _do(self, name: str, order: Any) -> None:
        self.orders.append(order)
        self.ordered[name] = order
        if self.failures.get(name):
            error = self.failures[name].popleft()
            self.said.append(f"{name}!")
            raise as_application_error(error)
        self.said.append(name)

    async def _cut(self) -> None:
        """What the one that is cut comes to, if it is not to end well."""
        while self.dies_when_cut:
            await asyncio.sleep(0.05)  # without a heartbeat
        if self.fails_when_cut:
            raise as_application_error(FerryError(self.fails_when_cut, "while it was being cut"))

    def _machine(self) -> Machine:
        return Machine(
            source="vc", machine_id="5000-uuid", ref="vm-1", name="web01", power=self.power, firmware=Firmware.UEFI,
            memory=1 << 30, tools_running=True, owner=self.owner, read_only=self.read_only,
            snapshots=self.snapshots, foreign_snapshots=tuple(each.name for each in self.snapshots),
            nics=(Nic(index=0, mac=self.mac, network="VM Network"),),
            disks=(SourceDisk(disk_id=DISK, key=2000, slot="scsi0:0", capacity=self.capacity),),
        )  # fmt: skip

    @activity.defn
    async def preflight(self, order: PreflightOrder) -> Preflight:
        self._do("preflight", order)
        while self.hold_preflight:
            activity.heartbeat()
            await asyncio.sleep(0.05)
        return Preflight(
            machine=self._machine(), checks=self.checks, store_id="store", pool="lab", sr_uuid="sr",
            sr_name="local", networks={"VM Network": "net"}, template="Other install media", warm=self.warm,
        )  # fmt: skip

    @activity.defn
    async def append_record(self, said: AppendRecord) -> None:
        if self.failures.get("append_record"):
            raise as_application_error(self.failures["append_record"].popleft())
        self.recorded.extend(said.entries)

    @activity.defn
    async def claim_source(self, order: SourceOrder) -> None:
        self._do("claim_source", order)

    @activity.defn
    async def take_approved_step(self, order: StepOrder) -> StepDone:
        self._do("take_approved_step", order)
        self.snapshots = () if order.step is ApprovedStep.REMOVE_SNAPSHOTS else self.snapshots
        return StepDone(done=(order.step.value,))

    @activity.defn
    async def release_source(self, order: SourceOrder) -> None:
        self._do("release_source", order)

    @activity.defn
    async def change_tracking_on(self, order: SourceOrder) -> bool:
        self._do("change_tracking_on", order)
        return True

    @activity.defn
    async def change_tracking_off(self, order: SourceOrder) -> None:
        self._do("change_tracking_off", order)

    @activity.defn
    async def make_shell(self, order: ShellOrder) -> Shell:
        self._do("make_shell", order)
        disk = ShellDisk(
            disk_id=DISK, slot="scsi0:0", vdi="vdi-1", userdevice="0", capacity=self.capacity,
            virtual_size=self.capacity, prezeroed=True,
        )  # fmt: skip
        return Shell(vm="shell-1", disks=(disk,))

    @activity.defn
    async def remove_shell(self, order: SourceOrder) -> RemovedShell:
        self._do("remove_shell", order)
        return RemovedShell(kept_vdis=("vdi-1",))

    @activity.defn
    async def freeze(self, order: FreezeOrder) -> Freeze:
        self._do("freeze", order)
        frozen = FrozenDisk(
            disk_id=DISK, key=2000, slot="scsi0:0", capacity=self.capacity, change_id=str(order.pass_no)
        )
        return Freeze(pass_no=order.pass_no, snapshot=f"snapshot-{order.pass_no}", final=order.final, disks=(frozen,))

    @activity.defn
    async def copy_disk(self, order: CopyOrder) -> CopyReport:
        self._do("copy_disk", order)
        complete = True
        try:
            while self.hold_copies:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            await self._cut()
            complete = False
        first = order.pass_no == 1
        return CopyReport(
            disk_id=DISK, pass_no=order.pass_no, complete=complete, kind="initial" if first else self.copies_as,
            bytes_planned=self.allocated, bytes_sent=1 << 20,
        )  # fmt: skip

    @activity.defn
    async def seal(self, order: SealOrder) -> SealReport:
        self._do("seal" if order.complete else "seal-cut", order)
        return SealReport()

    @activity.defn
    async def thaw(self, order: SourceOrder) -> None:
        self._do("thaw", order)

    @activity.defn
    async def power_off_source(self, order: PowerOffOrder) -> PoweredOff:
        self._do("power_off_source", order)
        try:
            while self.hold_power_off:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            await self._cut()
            raise
        self.power = Power.OFF
        return PoweredOff(at=datetime.now(UTC), how="guest")

    @activity.defn
    async def source_goes_off(self, order: SourceOrder) -> bool:
        self._do("source_goes_off", order)
        try:
            while self.power is not Power.OFF or self.misses_the_power:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            return False
        return True

    @activity.defn
    async def power_on_source(self, order: SourceOrder) -> None:
        self._do("power_on_source", order)
        self.power = Power.ON
        self.both_on_at_once |= self.target_power is Power.ON

    @activity.defn
    async def fence_source(self, order: FenceOrder) -> FenceJournal:
        if order.part == "overrides":
            self._do("override_source", order)
            return FenceJournal(changes={"HA restart": "off"})
        self._do("fence_source", order)
        return FenceJournal(changes={"nic 4000": "startConnected"})

    @activity.defn
    async def unfence_source(self, order: UnfenceOrder) -> None:
        self._do("undo_overrides" if order.part == "overrides" else "unfence_source", order)

    @activity.defn
    async def next_window(self, order: CalendarOrder) -> CalendarAnswer:
        return await CalendarActivities().next_window(order)

    @activity.defn
    async def raise_source_epoch(self, order: SourceOrder) -> None:
        self._do("raise_source_epoch", order)

    @activity.defn
    async def snapshot_target(self, order: ShellRef) -> SnapshotReport:
        self._do("snapshot_target", order)
        return SnapshotReport(snapshot="snap-1", vdis={"vdi-1": "vdi-1-snap"})

    @activity.defn
    async def take_bases(self, order: ShellRef) -> BaseReport:
        self._do("take_bases", order)
        return BaseReport(vdis={"vdi-1": "base-1"}) if self.tells_differences else BaseReport(reason="no VHD")

    @activity.defn
    async def drop_bases(self, order: SourceOrder) -> None:
        self._do("drop_bases", order)

    @activity.defn
    async def diverge_target(self, order: ShellRef) -> None:
        self._do("diverge_target", order)

    @activity.defn
    async def undiverge_target(self, order: NeverRanOrder) -> NeverRan:
        self._do("undiverge_target", order)
        return NeverRan(reason=self.may_have_run)

    @activity.defn
    async def unblock_target(self, order: ShellRef) -> None:
        self._do("unblock_target", order)

    @activity.defn
    async def block_target(self, order: ShellRef) -> None:
        self._do("block_target", order)

    @activity.defn
    async def start_target(self, order: ShellRef) -> None:
        self._do("start_target", order)
        self.target_power = Power.ON
        self.both_on_at_once |= self.power is Power.ON

    @activity.defn
    async def stop_target(self, order: ShellRef) -> None:
        self._do("stop_target", order)
        self.target_power = Power.OFF

    @activity.defn
    async def raise_target_epoch(self, order: ShellRef) -> None:
        self._do("raise_target_epoch", order)

    @activity.defn
    async def finish_target(self, order: ShellRef) -> None:
        self._do("finish_target", order)

    @activity.defn
    async def prove_target(self, order: ProofOrder) -> ProofReport:
        self._do("prove_target", order)
        if order.part == "between" and not self.reads_between:
            return ProofReport(disk_id=DISK, holds=True, made=False, method=f"not made ({order.reason})")
        if not self.serves_exports:
            return ProofReport(disk_id=DISK, holds=True, made=False, method="not made: HTTP 404")
        while self.hold_target_proof:
            activity.heartbeat()
            await asyncio.sleep(0.05)
        holds = self.proof_holds and not self.proofs_that_differ
        self.proofs_that_differ = max(0, self.proofs_that_differ - 1)
        return ProofReport(disk_id=DISK, holds=holds, differences=() if holds else (4096,), method=order.reason)

    @activity.defn
    async def prove_by_checksum(self, order: ProofOrder) -> BothProofs:
        self._do("prove_by_checksum", order)
        while self.hold_source_proof:
            activity.heartbeat()
            await asyncio.sleep(0.05)
        source = ProofReport(disk_id=DISK, holds=self.source_proof_holds, method="full read")
        sent = ProofReport(disk_id=DISK, holds=self.proof_holds, method=f"VDI.checksum ({order.reason})")
        return BothProofs(sent=sent, source=source)

    @activity.defn
    async def prove_source(self, order: ProofOrder) -> ProofReport:
        self._do("prove_source", order)
        while self.hold_source_proof:
            activity.heartbeat()
            await asyncio.sleep(0.05)
        holds = self.source_proof_holds
        return ProofReport(disk_id=DISK, holds=holds, differences=() if holds else (8192,))


__all__ = ["DISK", "ScriptedSteps"]
