"""The ways in which the target is read back, of which the order names one; each says what it was."""

import threading

from activities.systems import Systems
from contracts.steps import ProofOrder
from disks.copying import Meter
from disks.difference import prove_difference
from disks.ledger import Ledger
from disks.manifest import Manifest
from disks.protocols import NotOffered
from disks.proving import Finding, Interrupted, prove_all_ranges, prove_ranges, prove_target

_NOT = "xapi.read_back_failed"


class TargetProofs:
    """Each raises ``NotOffered``, with the reason, where the pool does not serve it."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    def whole(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        """All of the pre-start snapshot."""
        return self._read_all(order, manifest, cut, meter, "the pre-start snapshot")

    def between(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        """The whole VDI while the source runs: of use only where the rest can be read by its ranges later."""
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

    def base(
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

    def since(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        """By NBD, what was written since the whole disk was read back."""
        unproven = ledger.standing.unproven
        ranges = self._systems.target(order.errand.target).open_ranges(order.snapshot_vdi, order.errand)
        if ranges is None or unproven is None:
            raise NotOffered(_NOT, "no network of the pool has the purpose nbd")
        try:
            finding = prove_ranges(ranges, unproven, manifest, cut, meter)
        finally:
            ranges.close()
        return finding, "NBD with TLS: of the pre-start snapshot, what was written since the whole disk was read back"

    def since_base(
        self, order: ProofOrder, ledger: Ledger, manifest: Manifest, cut: threading.Event, meter: Meter
    ) -> tuple[Finding, str]:
        """The same by the difference to the snapshot that was read back then."""
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
