"""Steps on the machine that is made: shell, epoch, pre-start snapshot, unblock, start, stop."""

from collections.abc import Callable
from typing import TypeVar

from temporalio import activity

from activities.running import in_thread
from activities.systems import Systems
from contracts.steps import (
    BaseReport,
    NeverRan,
    NeverRanOrder,
    RemovedShell,
    Shell,
    ShellOrder,
    ShellRef,
    SnapshotReport,
    SourceOrder,
)
from disks.ledger import Ledger
from disks.store import check_identity

Result = TypeVar("Result")


class TargetActivities:
    """Unblock and start are two activities, each of which re-reads the epoch (SAFETY 14)."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    async def _step(self, work: Callable[[], Result]) -> Result:
        return await in_thread(work, pool=self._systems.pool)

    @activity.defn
    async def make_shell(self, order: ShellOrder) -> Shell:
        """Make the VM, its VDIs and VIFs, its start blocked."""
        target = self._systems.target(order.errand.target)
        return await self._step(lambda: target.make_shell(order))

    @activity.defn
    async def remove_shell(self, order: SourceOrder) -> RemovedShell:
        """Remove the VM; VDIs that hold data stay (SAFETY 22)."""
        target = self._systems.target(order.errand.target)
        return await self._step(lambda: target.remove_shell(order.errand))

    @activity.defn
    async def snapshot_target(self, order: ShellRef) -> SnapshotReport:
        """Take the pre-start snapshot, or find the one taken before."""
        target = self._systems.target(order.errand.target)
        return await self._step(lambda: target.snapshot_shell(order.vm, order.errand))

    @activity.defn
    async def find_snapshot(self, order: ShellRef) -> SnapshotReport:
        """The pre-start snapshot, if nobody has removed it."""
        target = self._systems.target(order.errand.target)
        return await self._step(lambda: target.find_snapshot(order.vm, order.errand))

    @activity.defn
    async def take_bases(self, order: ShellRef) -> BaseReport:
        """Snapshots to be read back whole while the source runs, where a difference to them can be had later."""
        target = self._systems.target(order.errand.target)
        return await self._step(lambda: target.take_bases(order.vm, order.errand))

    @activity.defn
    async def drop_bases(self, order: SourceOrder) -> None:
        """Leave none of them behind."""
        target = self._systems.target(order.errand.target)
        await self._step(lambda: target.drop_bases(order.errand))

    @activity.defn
    async def diverge_target(self, order: ShellRef) -> None:
        """Note in the store, for all disks, that the target is about to be started (SAFETY 16, 18)."""
        await self._step(lambda: self._diverge(order))

    @activity.defn
    async def unblock_target(self, order: ShellRef) -> None:
        """Allow the start."""
        target = self._systems.target(order.errand.target)
        await self._step(lambda: target.unblock(order.vm, order.errand.mark(order.epoch)))

    @activity.defn
    async def block_target(self, order: ShellRef) -> None:
        """Forbid the start."""
        target = self._systems.target(order.errand.target)
        await self._step(lambda: target.block(order.vm))

    @activity.defn
    async def undiverge_target(self, order: NeverRanOrder) -> NeverRan:
        """The way back from `diverge_target`: only where it is certain that the target never ran (SAFETY 18)."""
        return await self._step(lambda: self._undiverge(order))

    @activity.defn
    async def start_target(self, order: ShellRef) -> None:
        """The point of no automatic return (SAFETY 17)."""
        target = self._systems.target(order.errand.target)
        await self._step(lambda: target.start(order.vm, order.errand.mark(order.epoch)))

    @activity.defn
    async def stop_target(self, order: ShellRef) -> None:
        """Stop it and see it halted."""
        target = self._systems.target(order.errand.target)
        await self._step(lambda: target.stop(order.vm))

    @activity.defn
    async def raise_target_epoch(self, order: ShellRef) -> None:
        """Steps ordered under an older epoch are refused from here on."""
        target = self._systems.target(order.errand.target)
        await self._step(lambda: target.raise_epoch(order.vm, order.errand.mark(order.epoch)))

    @activity.defn
    async def finish_target(self, order: ShellRef) -> None:
        """Leave nothing of ours behind on the pool."""
        target = self._systems.target(order.errand.target)
        await self._step(lambda: target.finish(order.vm, order.errand))

    def _diverge(self, order: ShellRef) -> None:
        store = self._systems.store
        check_identity(store, order.errand.store_id)
        for disk_id in order.disk_ids:
            Ledger(store.disk(order.errand.migration, disk_id)).diverge(order.epoch)

    def _undiverge(self, order: NeverRanOrder) -> NeverRan:
        store, target = self._systems.store, self._systems.target(order.errand.target)
        check_identity(store, order.errand.store_id)
        reason = target.why_it_may_have_run(order.vm, order.errand.mark(order.epoch))
        if not reason:
            for disk_id in order.disk_ids:
                Ledger(store.disk(order.errand.migration, disk_id)).never_ran(order.cutover)
        return NeverRan(reason=reason)
