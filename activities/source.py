"""Steps on the machine that is moved away: owner mark, change tracking, freeze and thaw, power, fence."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from temporalio import activity

from activities.running import in_thread
from activities.systems import Systems
from contracts.errors import FerryError
from contracts.machine import Power
from contracts.steps import (
    VHD_BLOCK,
    FenceJournal,
    FenceOrder,
    Freeze,
    FreezeOrder,
    PoweredOff,
    PowerOffOrder,
    SealOrder,
    SealReport,
    SourceOrder,
    UnfenceOrder,
)
from disks.extents import Extent, merged, total
from disks.ledger import Ledger
from disks.store import check_identity

Result = TypeVar("Result")
POLL = 1.0


class SourceActivities:
    """Each looks before it makes, so that a second attempt finds what the first one did."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    async def _step(self, work: Callable[[], Result]) -> Result:
        return await in_thread(work, pool=self._systems.pool)

    @activity.defn
    async def claim_source(self, order: SourceOrder) -> None:
        """Put the owner mark on the machine (SAFETY 12)."""
        errand = order.errand
        if errand.read_only:
            return  # its shell bears the mark (docs/decisions/0006)
        source = self._systems.source(errand.source)
        await self._step(lambda: source.claim(errand.machine_id, errand.mark(order.epoch)))

    @activity.defn
    async def release_source(self, order: SourceOrder) -> None:
        """Take our mark off."""
        errand = order.errand
        source = self._systems.source(errand.source)
        await self._step(lambda: source.release(errand.machine_id, errand.migration))

    @activity.defn
    async def change_tracking_on(self, order: SourceOrder) -> bool:
        """Switch change tracking on; answers whether it was off."""
        source = self._systems.source(order.errand.source)
        return await self._step(lambda: source.change_tracking_on(order.errand.machine_id))

    @activity.defn
    async def change_tracking_off(self, order: SourceOrder) -> None:
        """Switch change tracking off again."""
        source = self._systems.source(order.errand.source)
        await self._step(lambda: source.change_tracking_off(order.errand.machine_id))

    @activity.defn
    async def freeze(self, order: FreezeOrder) -> Freeze:
        """Freeze all disks at one moment and find a transport for each."""
        errand = order.errand
        source = self._systems.source(errand.source)
        return await self._step(lambda: source.freeze(errand.machine_id, errand, order.pass_no, final=order.final))

    @activity.defn
    async def seal(self, order: SealOrder) -> SealReport:
        """End a pass: landmarks move only if the freeze held all along (SAFETY 1, 9); then thaw."""
        return await self._step(lambda: self._seal(order))

    @activity.defn
    async def thaw(self, order: SourceOrder) -> None:
        """Leave no snapshot of ours behind."""
        errand = order.errand
        source = self._systems.source(errand.source)
        await self._step(lambda: source.thaw(errand.machine_id, errand.migration))

    @activity.defn
    async def power_off_source(self, order: PowerOffOrder) -> PoweredOff:
        """The ladder: ask the guest, wait, and switch off hard only where the policy allows it."""
        return await self._step(lambda: self._power_off(order))

    @activity.defn
    async def power_on_source(self, order: SourceOrder) -> None:
        """Bring the machine back."""
        errand = order.errand
        source = self._systems.source(errand.source)
        await self._step(lambda: source.power_on(errand.machine_id, errand.mark(order.epoch)))

    @activity.defn
    async def fence_source(self, order: FenceOrder) -> FenceJournal:
        """Keep the machine from coming back by itself."""
        errand = order.errand
        if errand.read_only:
            return FenceJournal()
        source = self._systems.source(errand.source)
        fence = source.override if order.part == "overrides" else source.fence
        return await self._step(lambda: fence(errand.machine_id, errand.mark(order.epoch)))

    @activity.defn
    async def unfence_source(self, order: UnfenceOrder) -> None:
        """Take the fence away."""
        errand = order.errand
        if errand.read_only:
            return
        source = self._systems.source(errand.source)
        mark = errand.mark(order.epoch)
        if order.part == "overrides":
            await self._step(lambda: source.undo_overrides(errand.machine_id, mark))
        else:
            await self._step(lambda: source.unfence(errand.machine_id, order.journal, mark))

    @activity.defn
    async def raise_source_epoch(self, order: SourceOrder) -> None:
        """From here on, steps that were ordered under an older epoch are refused (SAFETY 14)."""
        errand = order.errand
        source = self._systems.source(errand.source)
        await self._step(lambda: source.raise_epoch(errand.machine_id, errand.mark(order.epoch)))

    def _seal(self, order: SealOrder) -> SealReport:
        errand, freeze = order.errand, order.freeze
        check_identity(self._systems.store, errand.store_id)
        source = self._systems.source(errand.source)
        ledgers = [Ledger(self._systems.store.disk(errand.migration, disk.disk_id)) for disk in freeze.disks]
        void = ""
        # A second attempt finds the passes closed and must not judge a freeze that it has thawed already.
        if any(freeze.pass_no not in ledger.standing.closed_passes for ledger in ledgers):
            try:
                source.check_freeze(errand.machine_id, freeze)
            except FerryError as error:
                if error.code not in ("vsphere.freeze_void", "vsphere.powered_on_again"):
                    raise
                void = f"{error.code}: {error.message}"
        for ledger in ledgers:
            ledger.close_pass(freeze.pass_no, complete=order.complete, void=bool(void))
        source.thaw(errand.machine_id, errand.migration)
        return SealReport(
            void=bool(void),
            reason=void,
            owed=sum(total([*each.standing.owed, *each.standing.unsure]) for each in ledgers),
            rewritten=sum(total(_vhd_blocks(each.standing.unproven or [])) for each in ledgers),
        )

    def _power_off(self, order: PowerOffOrder) -> PoweredOff:
        errand = order.errand
        source = self._systems.source(errand.source)
        mark = errand.mark(order.epoch)
        if source.power(errand.machine_id) is Power.OFF:
            return PoweredOff(at=datetime.now(UTC), how="already")
        if errand.read_only:
            raise FerryError("preflight.free_licence_running", f"{errand.vm} was switched on, and had to stay off")
        if order.policy != "hard":
            try:
                source.shut_down_guest(errand.machine_id, mark)
                deadline = time.monotonic() + order.patience.total_seconds()
                while time.monotonic() < deadline:
                    if source.power(errand.machine_id) is Power.OFF:
                        return PoweredOff(at=datetime.now(UTC), how="guest")
                    time.sleep(POLL)
                reason = f"the guest did not shut down within {order.patience.total_seconds():.0f} s"
            except FerryError as error:
                if error.code != "preflight.tools_not_running":
                    raise
                reason = "VMware Tools do not answer, so the guest could not be asked"
            if order.policy == "guest-then-ask":
                raise FerryError("source.shutdown_timeout", reason)
        source.power_off(errand.machine_id, mark)
        if source.power(errand.machine_id) is not Power.OFF:
            raise FerryError("vsphere.busy", "the machine is not off yet")
        return PoweredOff(at=datetime.now(UTC), how="hard")


def _vhd_blocks(extents: list[Extent]) -> list[Extent]:
    """The blocks of a VHD that the extents touch: a difference between two VHDs holds these whole."""
    return merged(Extent(each.start - each.start % VHD_BLOCK, each.end + -each.end % VHD_BLOCK) for each in extents)
