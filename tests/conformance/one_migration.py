"""A migration of one disk without a workflow: the real activities, one after the other, on both simulators.

Slim on purpose, so that a test can leave out or pervert a single step and see what our proofs say.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.powering_off import PoweringOff
from activities.source import SourceActivities
from activities.systems import Systems
from activities.transfer import TransferActivities
from activities.verification import VerificationActivities
from contracts.config import SourceConfig, VddkConfig
from contracts.steps import (
    BothProofs,
    CopyOrder,
    CopyReport,
    Errand,
    Freeze,
    FreezeOrder,
    PowerOffOrder,
    ProofOrder,
    ProofPart,
    ProofReport,
    SealOrder,
    SealReport,
    Shell,
    SourceOrder,
)
from disks.folder_store import FolderStore
from disks.ledger import Ledger, Standing
from disks.store import Store
from platforms.vsphere.source import VsphereSource
from platforms.xapi.target import XapiTarget
from simulators.vsphere.chain import Disk
from simulators.vsphere.server import VsphereSimulator
from simulators.xapi.server import XapiSimulator
from tests.conformance.vsphere_lab import PASSWORD, running_vcenter
from tests.conformance.xapi_target import file_of, order_for, pool_and_target

MIB = 1 << 20


@dataclass(frozen=True)
class Verdict:
    """What the judge sees (the files), and what our own proofs say."""

    equal: bool
    target_is_sent: bool
    target_is_source: bool


class OneMigration:
    """The steps. ``guest`` is the disk as the guest writes to it."""

    def __init__(
        self, vcenter: VsphereSimulator, pool: XapiSimulator, source: VsphereSource, target: XapiTarget, store: Store
    ) -> None:
        self.vcenter, self.pool, self.source, self.target = vcenter, pool, source, target
        self.store = store
        self.systems = Systems({"vc": source}, {"pool": target}, self.store)
        self._at_source, self._transfer = SourceActivities(self.systems), TransferActivities(self.systems)
        self._proofs = VerificationActivities(self.systems)
        self.machine = source.machine("web01")
        self.errand = Errand(
            migration="0190-first-run", workflow="migrate/vc/web01", source="vc", target="pool", vm="web01",
            machine_id=self.machine.machine_id, store_id=self.systems.store.id, read_only=self.machine.read_only,
        )  # fmt: skip
        self.guest: Disk = vcenter.world.vm("web01").disks[0]
        self.passes, self.segment_bytes = 0, 64 * MIB
        self.shell: Shell
        self.proofs: tuple[ProofReport, ProofReport]  # of the last verdict: of the target, of the source

    async def begin(self) -> None:
        """Owner mark, change tracking, shell."""
        order = SourceOrder(errand=self.errand)
        await _run(self._at_source.claim_source, order)
        if not self.machine.read_only:
            await _run(self._at_source.change_tracking_on, order)
        self.shell = self.target.make_shell(order_for(self.target, self.machine, errand=self.errand))

    async def sync(self, *, final: bool = False) -> CopyReport:
        """One whole pass."""
        freeze = await self.freeze(final=final)
        report = await _run(self._transfer.copy_disk, self._copy_order(freeze))
        await self.seal(freeze, complete=report.complete)
        return report

    async def cut_sync(self) -> CopyReport:
        """One pass, cut after its first segment."""
        freeze = await self.freeze()
        copying, environment = await self.copy_of_one_segment(freeze)
        environment.cancel()
        report: CopyReport = await copying
        await self.seal(freeze, complete=report.complete)
        return report

    async def copy_of_one_segment(self, freeze: Freeze) -> tuple["asyncio.Future[CopyReport]", ActivityEnvironment]:
        """A copy that goes on, and has one segment behind it."""
        environment, order = ActivityEnvironment(), self._copy_order(freeze)
        shelf = self.store.disk(self.errand.migration, order.disk_id)

        def done() -> int:
            return shelf.journal().count(b'"done"')

        before = done()
        copying = asyncio.ensure_future(environment.run(self._transfer.copy_disk, order))
        while done() == before and not copying.done():
            await asyncio.sleep(0.005)
        return copying, environment

    async def copy(self, freeze: Freeze) -> CopyReport:
        """One attempt at the copy of a pass."""
        report: CopyReport = await _run(self._transfer.copy_disk, self._copy_order(freeze))
        return report

    def standing(self) -> Standing:
        """What the journal says of the disk."""
        return Ledger(self.systems.store.disk(self.errand.migration, self.shell.disks[0].disk_id)).standing

    async def freeze(self, *, final: bool = False) -> Freeze:
        """Of the next pass."""
        self.passes += 1
        frozen: Freeze = await _run(
            self._at_source.freeze, FreezeOrder(errand=self.errand, pass_no=self.passes, final=final)
        )
        return frozen

    async def seal(self, freeze: Freeze, *, complete: bool) -> SealReport:
        """End a pass."""
        sealed: SealReport = await _run(
            self._at_source.seal, SealOrder(errand=self.errand, freeze=freeze, complete=complete)
        )
        return sealed

    async def power_off(self) -> None:
        """Hard."""
        await _run(PoweringOff(self.systems).power_off_source, PowerOffOrder(errand=self.errand, policy="hard"))

    async def read_back(self, part: ProofPart, snapshot_vdi: str = "", *, base: str = "") -> ProofReport:
        """A proof of the target; of the VDI itself where no snapshot is named."""
        [disk] = self.shell.disks
        vdi = snapshot_vdi or disk.vdi
        order = ProofOrder(errand=self.errand, target_disk=disk, snapshot_vdi=vdi, part=part, base=base)
        report = await _run(self._proofs.prove_target, order)
        assert isinstance(report, ProofReport)
        return report

    async def by_checksum(self, snapshot_vdi: str) -> BothProofs:
        """Both proofs, where the pool lets nobody read. Power is off and the last pass is done."""
        final = await self.freeze(final=True)
        [disk] = self.shell.disks
        order = ProofOrder(errand=self.errand, target_disk=disk, snapshot_vdi=snapshot_vdi, freeze=final)
        both = await _run(self._proofs.prove_by_checksum, order)
        assert isinstance(both, BothProofs)
        return both

    def flip(self, offset: int) -> None:
        """One bit of the VDI's file, behind everybody's back."""
        self.pool.flip(self.shell.disks[0].vdi, offset)

    async def verdict(self) -> Verdict:
        """Both proofs, and the files. Power is off and the last pass is done."""
        final = await self.freeze(final=True)
        [disk] = self.shell.disks
        snapshot = self.target.snapshot_shell(self.shell.vm, self.errand)
        proof = ProofOrder(errand=self.errand, target_disk=disk, snapshot_vdi=snapshot.vdis[disk.vdi], freeze=final)
        sent = await _run(self._proofs.prove_target, proof)
        source = await _run(self._proofs.prove_source, proof)
        self.proofs = (sent, source)
        size = self.guest.capacity
        stored = file_of(self.pool, snapshot.vdis[disk.vdi])
        return Verdict(stored[:size] == self.guest.read(0, size), sent.holds, source.holds)

    def _copy_order(self, freeze: Freeze) -> CopyOrder:
        [disk] = self.shell.disks
        return CopyOrder(
            errand=self.errand, pass_no=freeze.pass_no, freeze=freeze, disk_id=disk.disk_id, target_disk=disk,
            segment_bytes=self.segment_bytes,
        )  # fmt: skip


@contextmanager
def one_migration(
    folder: Path,
    *,
    size_mib: float = 8,
    datastore: str = "nfs1",
    mounted: bool = False,
    export: str = "",
    vddk: dict[str, str] | None = None,
    purpose: str = "",
    takes_chunked: bool = True,
    sr: dict[str, Any] | None = None,
    store: Store | None = None,
    power: str = "on",
    host: dict[str, Any] | None = None,
    vm: dict[str, Any] | None = None,
    nics: list[dict[str, Any]] | None = None,
) -> Iterator[OneMigration]:
    """Both simulators, both clients, a store.

    Args:
        mounted: whether ferry.toml names the datastore's folder.
        export: what it names instead.
        vddk: what it says of VDDK.
        sr: the pool's only one.
        store: one in the folder, if it is not given.
        takes_chunked: whether the pool does.
        nics: of the VM; it has none, if they are not given.
        host: what else the source is (``kind``, ``licence``).
        vm: what else the machine is.
        purpose: of the pool's network: ``nbd`` for read-back by NBD.
    """
    (folder / "vc").mkdir(parents=True)
    (folder / "pool").mkdir()
    said = {"name": "web01", "power": power, "disks": [{"size_mib": size_mib, "datastore": datastore}]}
    said |= {"nics": nics or [], **(vm or {})}
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    lan, srs = [{"name": "lan", "purpose": purpose}], [sr or {"name": "local-ext"}]
    with (
        running_vcenter(folder / "vc", said, speed=10, **(host or {})) as vcenter,
        pool_and_target(folder / "pool", speed=10, networks=lan, takes_chunked=takes_chunked, srs=srs) as both,
    ):
        pool, target = both
        config = SourceConfig(
            url=vcenter.url,
            username=vcenter.said.user,
            password=f"file:{secret}",
            ca_file=folder / "vc" / "ca.pem",
            nfs={datastore: export or str(folder / "vc" / "vsphere" / datastore)} if mounted or export else {},
            vddk=VddkConfig.model_validate(vddk) if vddk is not None else None,
        )
        source = VsphereSource("vc", config)
        try:
            yield OneMigration(vcenter, pool, source, target, store or FolderStore(folder / "store"))
        finally:
            source.close()


async def _run(step: Any, order: Any) -> Any:
    return await ActivityEnvironment().run(step, order)
