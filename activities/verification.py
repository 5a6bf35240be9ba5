"""The two proofs (SAFETY 19), as activities."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from temporalio import activity

from activities.running import cuttable
from activities.source_proofs import SourceProofs
from activities.systems import Systems
from activities.target_proofs import TargetProofs
from activities.transfer import Rate
from activities.watching import staying_off
from contracts.errors import FerryError
from contracts.steps import BothProofs, Progress, ProofOrder, ProofReport
from disks.copying import Meter
from disks.extents import merged
from disks.ledger import Ledger
from disks.manifest import Manifest
from disks.protocols import NotOffered
from disks.proving import Finding, Interrupted
from disks.store import check_identity

Prover = Callable[[ProofOrder, Ledger, Manifest, threading.Event, Meter], tuple[Finding, str]]
"""What was found, and how. Raises ``NotOffered``, with the reason."""


class VerificationActivities:
    """Each proves one disk; read through the platform's own API, never from our records."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems
        self._at_target, self._at_source = TargetProofs(systems), SourceProofs(systems)

    @activity.defn
    async def prove_target(self, order: ProofOrder) -> ProofReport:
        """*Target = what was sent*: read back and compared with the manifest.

        The whole pre-start snapshot; or what was written since the whole disk was read back between passes, by its
        ranges (NBD) or by the difference to a base: the snapshot that was read back then.
        """
        if order.part == "since":
            return await self._proof(order, self._at_target.since_base if order.base else self._at_target.since)
        if order.part == "between":
            return await self._proof(order, self._at_target.base if order.base else self._at_target.between)
        return await self._proof(order, self._at_target.whole)

    @activity.defn
    async def prove_source(self, order: ProofOrder) -> ProofReport:
        """*Target = source at power-off*: the powered-off source read in full and compared with the manifest."""
        return await self._proof(order, self._at_source.source)

    @activity.defn
    async def prove_by_checksum(self, order: ProofOrder) -> BothProofs:
        """Both at once, where the pool lets nobody read: its own checksum beside that of the source, read in full."""
        sent: list[ProofReport] = []
        asker = activity.info().workflow_run_id or ""  # `ferry verify` is another one: it wants the target as it is now

        def prove(
            _: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
        ) -> tuple[Finding, str]:
            finding, method, report = self._at_source.beside_checksum(order, manifest, cut, meter, asker)
            sent.append(report)
            return finding, method

        of_source = order.model_copy(update={"snapshot_vdi": "", "reason": ""})
        source = await self._proof(of_source, prove)
        [both] = sent
        told = {
            "method": _with(both.method, order.reason), "root_digest": source.root_digest, "seconds": source.seconds,
        }  # fmt: skip
        return BothProofs(sent=both.model_copy(update=told), source=source)

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
                return _not_made(order, "another pass comes first")
            raise FerryError("store.damaged", f"the journal of {disk.slot} does not tell of a finished copy")
        manifest = ledger.manifest(disk.capacity)
        try:
            with self._watched(order, cut):
                finding, method = prove(order, ledger, manifest, cut, meter)
            root = manifest.root()
            if order.snapshot_vdi and finding.extents and not standing.diverged:
                ledger.differs(order.snapshot_vdi, merged(finding.extents))
            elif order.part == "between" and finding.holds:
                ledger.proven(order.base)
        except Interrupted:
            return None
        except NotOffered as refused:
            return _not_made(order, refused.message)
        finally:
            manifest.close()
        return ProofReport(
            disk_id=disk.disk_id,
            holds=finding.holds,
            method=_with(method, order.reason),
            root_digest=root,
            blocks=finding.blocks,
            bytes_read=finding.bytes_read,
            seconds=time.monotonic() - began,
            differences=tuple(finding.differences),
        )

    def _watched(self, order: ProofOrder, cut: threading.Event) -> AbstractContextManager[None]:
        if not order.source_off:
            return nullcontext()
        return staying_off(self._systems.source(order.errand.source), order.errand.machine_id, cut)


def _not_made(order: ProofOrder, reason: str) -> ProofReport:
    return ProofReport(
        disk_id=order.target_disk.disk_id, holds=True, made=False, method=_with(f"not made: {reason}", order.reason)
    )


def _with(method: str, reason: str) -> str:
    return f"{method} ({reason})" if reason else method
