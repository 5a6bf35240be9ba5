"""Steps on the machine that is moved away: owner mark, change tracking, freeze and thaw, power-on, fence."""

from collections.abc import Callable
from typing import TypeVar

from temporalio import activity

from activities.running import in_thread
from activities.systems import Systems
from contracts.errors import FerryError
from contracts.steps import (
    VHD_BLOCK,
    FenceJournal,
    FenceOrder,
    Freeze,
    FreezeOrder,
    SealOrder,
    SealReport,
    SourceOrder,
    UnfenceOrder,
)
from disks.extents import Extent, merged, total
from disks.ledger import Ledger
from disks.store import check_identity

Result = TypeVar("Result")


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
        void = "the cutover was undone before the pass could be sealed" if order.given_up else ""
        # A second attempt finds the passes closed and must not judge a freeze that it has thawed already.
        if not void and any(freeze.pass_no not in ledger.standing.closed_passes for ledger in ledgers):
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


def _vhd_blocks(extents: list[Extent]) -> list[Extent]:
    """The blocks of a VHD that the extents touch: a difference between two VHDs holds these whole."""
    return merged(Extent(each.start - each.start % VHD_BLOCK, each.end + -each.end % VHD_BLOCK) for each in extents)
