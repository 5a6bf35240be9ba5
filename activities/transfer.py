"""Moving the bytes of one disk in one pass."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import activity

from activities.ladder import down_the_ladder
from activities.running import cuttable
from activities.systems import Systems
from activities.watching import staying_off, with_room
from contracts.errors import FerryError
from contracts.steps import CopyOrder, CopyReport, Errand, Progress
from disks.copying import Copying, Meter
from disks.extents import total
from disks.ledger import Ledger
from disks.plan import Plan
from disks.planning import next_plan
from disks.protocols import DiskSource
from disks.store import check_identity


class Rate:
    """Bytes per second of late: what the heartbeat says and the ETA is made of."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, int]] = []

    def of(self, moved: int) -> float:
        """Add a sample; the rate over the last ten or so."""
        self._samples = [*self._samples[-10:], (time.monotonic(), moved)]
        (began, first), (now, last) = self._samples[0], self._samples[-1]
        return (last - first) / (now - began) if now > began else 0.0


class TransferActivities:
    """``copy_disk``: resumable at the journal, cut by a cancel, one writer by its token."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def copy_disk(self, order: CopyOrder) -> CopyReport:
        """Bring one disk's part of the pass to its end, or as far as a cut."""
        info = activity.info()
        token = f"{info.workflow_run_id}/{info.activity_id}/{info.attempt}"
        meter, rate = Meter(), Rate()
        slot = order.target_disk.slot

        def progress() -> Progress:
            return Progress(
                disk=slot, done=meter.done, total=meter.total, in_flight=meter.in_flight, rate=rate.of(meter.moved)
            )

        return await cuttable(
            lambda cut: self._copy(order, token, meter, cut), pool=self._systems.pool, details=progress
        )

    def _copy(self, order: CopyOrder, token: str, meter: Meter, cut: threading.Event) -> CopyReport:
        errand, began = order.errand, time.monotonic()
        store, limits = self._systems.store, self._systems.limits
        check_identity(store, errand.store_id)
        frozen = next(disk for disk in order.freeze.disks if disk.disk_id == order.disk_id)
        source = self._systems.source(errand.source).open_disk(errand.machine_id, order.freeze, order.disk_id)
        target = self._systems.target(errand.target).open_disk(errand, order.target_disk)
        try:
            ledger = Ledger(store.disk(errand.migration, order.disk_id))
            manifest = ledger.manifest(source.capacity)  # before the plan: a plan without one tells of a loss
            plan = self._plan(ledger, source, order, frozen.change_id)
            copying = Copying(
                source=source,
                target=target,
                ledger=ledger,
                manifest=manifest,
                token=token,
                label=_label(errand, order),
                segment_bytes=order.segment_bytes,
                cut=cut,
                meter=meter,
                allow=lambda count, cut: limits.allow(errand, order.bandwidth, count, cut),
            )
            try:
                with self._watched(order, cut) as why, limits.turn(errand.source, order.host, cut) as ours:
                    complete = ours and down_the_ladder(source, lambda: copying.run(plan), cut)
            except FerryError as error:
                if error.code == "vsphere.stream_disbelieved":  # what came before its end is on the target, and owed
                    ledger.close_pass(order.pass_no, complete=False, void=True)
                raise
            finally:
                manifest.close()
        finally:
            source.close()
            target.close()
        standing = ledger.standing
        return CopyReport(
            disk_id=order.disk_id,
            pass_no=order.pass_no,
            complete=complete,
            kind=plan.kind,
            reason="; ".join(each for each in (plan.reason, *why) if each),
            transport=source.transport,
            transport_reason=source.reason,
            bytes_planned=plan.bytes,
            bytes_sent=standing.sent,
            bytes_sent_again=standing.sent_again,
            seconds=time.monotonic() - began,
            owed=total(standing.owed) + total(standing.unsure),
        )

    @contextmanager
    def _watched(self, order: CopyOrder, cut: threading.Event) -> Iterator[list[str]]:
        """The final pass reads a machine that must stay off (SAFETY 9), any other one under a snapshot (SAFETY 10)."""
        source, machine_id = self._systems.source(order.errand.source), order.errand.machine_id
        if order.freeze.final:
            with staying_off(source, machine_id, cut):
                yield []
        elif order.freeze.snapshot is not None:
            with with_room(source, machine_id, order.freeze, cut) as why:
                yield why
        else:
            yield []

    def _plan(self, ledger: Ledger, source: DiskSource, order: CopyOrder, upto: str) -> Plan:
        plan = ledger.standing.plan
        if plan is not None and plan.pass_no == order.pass_no:
            return plan
        if plan is not None:
            # A pass that nobody sealed (its workflow was reset, say): what it left open is owed.
            ledger.close_pass(plan.pass_no, complete=False, void=True)
        plan = next_plan(
            ledger.standing, source, pass_no=order.pass_no, upto=upto, prezeroed=order.target_disk.prezeroed,
            distrust=order.distrust,
        )  # fmt: skip
        ledger.begin_plan(plan)
        return plan


def _label(errand: Errand, order: CopyOrder) -> str:
    return f"Ferry: {errand.vm} / {order.target_disk.slot} / pass {order.pass_no}"
