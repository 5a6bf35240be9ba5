"""Reading the powered-off source in full; and the same beside a checksum of the target."""

import threading
from collections.abc import Callable

from activities.ladder import down_the_ladder
from activities.systems import Systems
from contracts.steps import ProofOrder, ProofReport
from disks.checksumming import Md5, sent_as_summed
from disks.copying import Meter
from disks.ledger import Ledger
from disks.manifest import Manifest
from disks.proving import Finding, Interrupted, prove_source

POLL = 0.5
"""Seconds between two looks at what the pool computes; it is asked less often."""


class SourceProofs:
    """Both compare what is read with the manifest."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    def source(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        """The whole of it."""
        return self._read(order, manifest, cut, meter)

    def beside_checksum(
        self, order: ProofOrder, manifest: Manifest, cut: threading.Event, meter: Meter, asker: str
    ) -> tuple[Finding, str, ProofReport]:
        """The source's finding, how it was read, and what the pool's checksum tells of the target."""
        checksum = self._systems.target(order.errand.target).checksum(order.snapshot_vdi, order.errand, asker)
        md5 = Md5()
        try:
            finding, method = self._read(order, manifest, cut, meter, md5, checksum.look)
            while (theirs := checksum.look()) is None:
                if cut.wait(POLL):
                    raise Interrupted
        finally:
            checksum.close()
        sent, words = sent_as_summed(finding, md5.padded(checksum.virtual_size), theirs)
        report = ProofReport(
            disk_id=order.target_disk.disk_id,
            holds=sent.holds,
            method=f"VDI.checksum of the pre-start snapshot beside the MD5 of the source, {method}: {words}",
            blocks=sent.blocks,
            bytes_read=checksum.virtual_size,
            differences=tuple(sent.differences),
        )
        return finding, f"{method}, which also gave the MD5 for the proof of the target", report

    def _read(
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

        def allow(count: int, cut: threading.Event) -> bool:
            meanwhile()
            return self._systems.limits.allow(errand, order.bandwidth, count, cut)

        def prove() -> Finding:
            if md5 is None:
                return prove_source(disk, manifest, cut, meter, allow)
            md5.begin()
            return prove_source(disk, manifest, cut, meter, allow, md5.update)

        try:
            finding = down_the_ladder(disk, prove, cut)
            method = f"full read by {disk.transport}"
        finally:
            disk.close()
        # A source that ran in between is not the source at power-off: then this proves nothing (SAFETY 9).
        source.check_freeze(errand.machine_id, order.freeze)
        return finding, method
