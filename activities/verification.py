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
from contracts.steps import BothProofs, Progress, ProofOrder, ProofReport
from disks.checksumming import Md5, sent_as_summed
from disks.copying import Meter
from disks.difference import prove_difference
from disks.extents import merged
from disks.ledger import Ledger
from disks.manifest import Manifest
from disks.protocols import NotOffered
from disks.proving import Finding, Interrupted, prove_all_ranges, prove_ranges, prove_source, prove_target
from disks.store import check_identity

Prover = Callable[[ProofOrder, Ledger, Manifest, threading.Event, Meter], tuple[Finding, str]]
"""What was found, and how. Raises ``NotOffered``, with the reason."""
_NOT = "xapi.read_back_failed"
POLL = 0.5
"""Seconds between two looks at what the pool computes; it is asked less often."""


class VerificationActivities:
    """Each proves one disk; read through the platform's own API, never from our records."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def prove_target(self, order: ProofOrder) -> ProofReport:
        """*Target = what was sent*: read back and compared with the manifest.

        The whole pre-start snapshot; or what was written since the whole disk was read back between passes, by its
        ranges (NBD) or by the difference to a base: the snapshot that was read back then.
        """
        if order.part == "since":
            return await self._proof(order, self._since_base if order.base else self._since)
        if order.part == "between":
            return await self._proof(order, self._base if order.base else self._between)
        return await self._proof(order, self._whole)

    @activity.defn
    async def prove_source(self, order: ProofOrder) -> ProofReport:
        """*Target = source at power-off*: the powered-off source read in full and compared with the manifest."""
        return await self._proof(order, self._source)

    @activity.defn
    async def prove_by_checksum(self, order: ProofOrder) -> BothProofs:
        """Both at once, where the pool lets nobody read: its own checksum beside that of the source, read in full."""
        sent: list[ProofReport] = []

        def prove(
            order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
        ) -> tuple[Finding, str]:
            finding, method, report = self._beside_checksum(order, manifest, cut, meter)
            sent.append(report)
            return finding, method

        source = await self._proof(order, prove)
        told = {"root_digest": source.root_digest, "seconds": source.seconds}
        return BothProofs(sent=sent[-1].model_copy(update=told), source=source)

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

    def _whole(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        return self._read_all(order, manifest, cut, meter, "the pre-start snapshot")

    def _between(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        """Of use only where the rest can be read by its ranges later."""
        ranges = self._systems.target(order.errand.target).open_ranges(order.snapshot_vdi, order.errand)
        if ranges is None:
            raise NotOffered(_NOT, "what is written later could not be read by its ranges")
        ranges.close()
        return self._read_all(order, manifest, cut, meter, "the VDI between two passes")

    def _read_all(
        self, order: ProofOrder, manifest: Manifest, cut: threading.Event, meter: Meter, what: str
    ) -> tuple[Finding, str]:
        """By an export, which leaves holes out; by ranges where the pool serves none."""
        try:
            return self._read_whole(order, manifest, cut, meter), f"export_raw_vdi of {what}"
        except NotOffered as refused:
            ranges = self._systems.target(order.errand.target).open_ranges(order.snapshot_vdi, order.errand)
            if ranges is None:
                raise
            method = f"NBD with TLS, of all of {what}: {refused.message}"
        try:
            return prove_all_ranges(ranges, manifest, cut, meter), method
        finally:
            ranges.close()

    def _base(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        """The snapshot is read whole; before that, the pool is asked for the difference to it, which is none yet."""
        target = self._systems.target(order.errand.target)
        probe = target.read_difference(order.target_disk.vdi, order.base, order.errand)
        try:
            for _ in probe.blocks():
                if cut.is_set():
                    raise Interrupted
        finally:
            probe.close()
        base = ledger.base_manifest(manifest.capacity, manifest)
        try:
            return self._read_whole(order, base, cut, meter), "export_raw_vdi of a snapshot taken between two passes"
        finally:
            base.close()

    def _read_whole(self, order: ProofOrder, manifest: Manifest, cut: threading.Event, meter: Meter) -> Finding:
        read_back = self._systems.target(order.errand.target).read_back(order.snapshot_vdi, order.errand)
        try:
            return prove_target(read_back, manifest, cut, meter)
        finally:
            read_back.close()

    def _since(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        unproven = ledger.standing.unproven
        ranges = self._systems.target(order.errand.target).open_ranges(order.snapshot_vdi, order.errand)
        if ranges is None or unproven is None:
            raise NotOffered(_NOT, "no network of the pool has the purpose nbd")
        try:
            finding = prove_ranges(ranges, unproven, manifest, cut, meter)
        finally:
            ranges.close()
        return finding, "NBD with TLS: of the pre-start snapshot, what was written since the whole disk was read back"

    def _since_base(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        if ledger.standing.base != order.base:
            raise NotOffered(_NOT, "the snapshot that the difference is told against was not proven")
        base = ledger.base_manifest(manifest.capacity)
        target = self._systems.target(order.errand.target)
        difference = target.read_difference(order.snapshot_vdi, order.base, order.errand)
        try:
            finding = prove_difference(difference, base, manifest, cut, meter)
        finally:
            difference.close()
            base.close()
        return finding, "export_raw_vdi of the pre-start snapshot against the snapshot that was read back whole"

    def _source(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        return self._read_source(order, manifest, cut, meter)

    def _read_source(
        self,
        order: ProofOrder,
        manifest: Manifest,
        cut: threading.Event,
        meter: Meter,
        md5: Md5 | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> tuple[Finding, str]:
        assert order.freeze is not None
        errand = order.errand
        source = self._systems.source(errand.source)
        disk = source.open_disk(errand.machine_id, order.freeze, order.target_disk.disk_id)
        md5 = md5 or Md5()

        def allow(count: int, cut: threading.Event) -> bool:
            meanwhile()
            return self._systems.limits.allow(errand.migration, order.bandwidth, count, cut)

        def prove() -> Finding:
            md5.begin()
            return prove_source(disk, manifest, cut, meter, allow, md5.update)

        try:
            finding = down_the_ladder(disk, prove)
            method = f"full read by {disk.transport}"
        finally:
            disk.close()
        # A source that ran in between is not the source at power-off: then this proves nothing (SAFETY 9).
        source.check_freeze(errand.machine_id, order.freeze)
        return finding, method

    def _beside_checksum(
        self, order: ProofOrder, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str, ProofReport]:
        """The source's finding, how it was read, and what the pool's checksum tells of the target."""
        checksum = self._systems.target(order.errand.target).checksum(order.snapshot_vdi, order.errand)
        md5 = Md5()
        try:
            finding, method = self._read_source(order, manifest, cut, meter, md5, checksum.look)
            while (theirs := checksum.look()) is None:
                if cut.wait(POLL):
                    raise Interrupted
        finally:
            checksum.close()
        sent, words = sent_as_summed(finding, md5.padded(checksum.virtual_size), theirs)
        told = f"VDI.checksum of the pre-start snapshot beside the MD5 of the source, {method}: {words}"
        report = ProofReport(
            disk_id=order.target_disk.disk_id,
            holds=sent.holds,
            method=_with(told, order.reason),
            blocks=sent.blocks,
            bytes_read=checksum.virtual_size,
            differences=tuple(sent.differences),
        )
        return finding, f"{method}, which also gave the MD5 for the proof of the target", report


def _not_made(order: ProofOrder, reason: str) -> ProofReport:
    return ProofReport(
        disk_id=order.target_disk.disk_id, holds=True, made=False, method=_with(f"not made: {reason}", order.reason)
    )


def _with(method: str, reason: str) -> str:
    return f"{method} ({reason})" if reason else method
