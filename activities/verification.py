"""The two proofs (SAFETY 19), as activities."""

import asyncio
import threading
import time
from collections.abc import Callable

from temporalio import activity

from activities.ladder import down_the_ladder
from activities.running import cuttable
from activities.systems import Systems
from activities.transfer import Rate
from contracts.errors import FerryError
from contracts.steps import Progress, ProofOrder, ProofReport
from disks.copying import Meter
from disks.extents import merged
from disks.ledger import Ledger, Standing
from disks.manifest import Manifest
from disks.proving import Finding, Interrupted, prove_ranges, prove_source, prove_target
from disks.store import check_identity

Prover = Callable[[ProofOrder, Standing, Manifest, threading.Event, Meter], tuple[Finding, str] | None]
"""None: the pool does not offer it."""


class VerificationActivities:
    """Each proves one disk; read through the platform's own API, never from our records."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def prove_target(self, order: ProofOrder) -> ProofReport:
        """*Target = what was sent*: read back and compared with the manifest.

        The whole pre-start snapshot; or, by NBD, what was written since the whole disk was read back between passes.
        """
        return await self._proof(order, self._written_since if order.part == "since" else self._target)

    @activity.defn
    async def prove_source(self, order: ProofOrder) -> ProofReport:
        """*Target = source at power-off*: the powered-off source read in full and compared with the manifest."""
        return await self._proof(order, self._source)

    async def _proof(self, order: ProofOrder, prove: Prover) -> ProofReport:
        meter, rate = Meter(), Rate()

        def progress() -> Progress:
            return Progress(
                disk=order.target_disk.slot, step="proof", done=meter.done, total=meter.total, rate=rate.of(meter.moved)
            )

        report = await cuttable(
            lambda cut: self._make(order, prove, cut, meter), pool=self._systems.pool, details=progress
        )
        if report is None:
            raise asyncio.CancelledError
        return report

    def _make(self, order: ProofOrder, prove: Prover, cut: threading.Event, meter: Meter) -> ProofReport | None:
        """None when it was called off."""
        errand, disk, began = order.errand, order.target_disk, time.monotonic()
        check_identity(self._systems.store, errand.store_id)
        ledger = Ledger(self._systems.store.disk(errand.migration, disk.disk_id))
        standing = ledger.standing
        told_before = order.snapshot_vdi != "" and standing.differs_in == order.snapshot_vdi  # by a stopped attempt
        owed = (standing.owed and not told_before) or standing.unsure
        if not standing.complete or owed or standing.plan is not None:
            if order.part == "between":
                return ProofReport(disk_id=disk.disk_id, holds=True, made=False)  # another pass comes first
            raise FerryError("store.damaged", f"the journal of {disk.slot} does not tell of a finished copy")
        manifest = ledger.manifest(disk.capacity)
        try:
            made = prove(order, standing, manifest, cut, meter)
            if made is None:
                return ProofReport(disk_id=disk.disk_id, holds=True, made=False)
            finding, method = made
            root = manifest.root()
            if order.snapshot_vdi and finding.extents and not standing.diverged:
                ledger.differs(order.snapshot_vdi, merged(finding.extents))
            elif order.part == "between" and finding.holds:
                ledger.proven()
        except Interrupted:
            return None
        finally:
            manifest.close()
        return ProofReport(
            disk_id=disk.disk_id,
            holds=finding.holds,
            method=method,
            root_digest=root,
            blocks=finding.blocks,
            bytes_read=finding.bytes_read,
            seconds=time.monotonic() - began,
            differences=tuple(finding.differences),
        )

    def _target(
        self, order: ProofOrder, standing: Standing, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str] | None:
        target = self._systems.target(order.errand.target)
        if order.part == "between":  # of use only where the rest can be read by its ranges later
            ranges = target.open_ranges(order.snapshot_vdi, order.errand)
            if ranges is None:
                return None
            ranges.close()
        read_back = target.read_back(order.snapshot_vdi, order.errand)
        what = "the VDI between two passes" if order.part == "between" else "the pre-start snapshot"
        try:
            return prove_target(read_back, manifest, cut, meter), f"export_raw_vdi of {what}"
        finally:
            read_back.close()

    def _written_since(
        self, order: ProofOrder, standing: Standing, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str] | None:
        ranges = self._systems.target(order.errand.target).open_ranges(order.snapshot_vdi, order.errand)
        if ranges is None or standing.unproven is None:
            return None
        try:
            finding = prove_ranges(ranges, standing.unproven, manifest, cut, meter)
        finally:
            ranges.close()
        return finding, "NBD with TLS: of the pre-start snapshot, what was written since the whole disk was read back"

    def _source(
        self, order: ProofOrder, standing: Standing, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str] | None:
        assert order.freeze is not None
        errand = order.errand
        source = self._systems.source(errand.source)
        disk = source.open_disk(errand.machine_id, order.freeze, order.target_disk.disk_id)

        def allow(count: int, cut: threading.Event) -> bool:
            return self._systems.limits.allow(errand.migration, order.bandwidth, count, cut)

        try:
            finding = down_the_ladder(disk, lambda: prove_source(disk, manifest, cut, meter, allow), cut)
            method = f"full read by {disk.transport}"
        finally:
            disk.close()
        # A source that ran in between is not the source at power-off: then this proves nothing (SAFETY 9).
        source.check_freeze(errand.machine_id, order.freeze)
        return finding, method
