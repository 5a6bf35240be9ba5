"""``VerifyVm``: the two proofs of a finished migration, made again. It changes nothing that stays."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.names import VERIFY_VM
    from contracts.steps import (
        BothProofs,
        Errand,
        Freeze,
        FreezeOrder,
        ProofOrder,
        ProofReport,
        ShellDisk,
        ShellRef,
        SnapshotReport,
        SourceOrder,
    )
    from contracts.told import Report
    from contracts.verification import VerifyReport, VerifyRequest
    from workflows.in_any_case import in_any_case
    from workflows.stepping import StepFailed, heard, order

_STORED = type(None)
Proof = TypeVar("Proof", ProofReport, BothProofs)
_GONE = frozenset({"verify.snapshot_gone", "xapi.shell_broken"})
_SOURCE_GONE = frozenset({"vm.gone", "vsphere.powered_on_again", "vm.already_migrating"})
FREEZE_NO = 1_000_000
"""The number of its freeze: no pass ever has it."""


@workflow.defn(name=VERIFY_VM, failure_exception_types=[ValidationError])
class VerifyVm:
    """Target, then source. What is no longer there to be compared is a note, not a failure."""

    @workflow.run
    async def run(self, request: VerifyRequest) -> VerifyReport:
        """Prove it again."""
        self.site = request.report.errand.site if request.report.errand else ""
        report = request.report
        if report.errand is None or not report.disks or report.outcome != "done":
            raise ApplicationError(
                f"the migration of {report.vm or 'that VM'} ended {report.outcome!r}: only a done one is verified",
                type="verify.not_done", non_retryable=True,
            )  # fmt: skip
        notes: list[str] = []
        try:
            target, unread = await self._target(report, report.errand, notes)
            if unread is None:
                source = await self._source(report, report.errand, notes)
            else:
                target, source = await self._both(report, report.errand, notes, unread)
        except StepFailed as failure:
            raise ApplicationError(failure.message, type=failure.code, non_retryable=True) from failure
        made = [*target, *source]
        return VerifyReport(
            vm=report.vm, migration=report.migration, target=target, source=source, notes=tuple(notes),
            holds=bool(made) and all(each.holds for each in made),
            slots={each.disk_id: each.slot for each in report.disks},
        )  # fmt: skip

    async def _target(
        self, report: Report, errand: Errand, notes: list[str]
    ) -> tuple[tuple[ProofReport, ...], SnapshotReport | None]:
        """The proofs; or the snapshot, where the pool lets nobody read it."""
        ref = ShellRef(errand=errand, vm=report.target_vm)
        try:
            snapshot = await heard(order("find_snapshot", ref, SnapshotReport, summary="the pre-start snapshot"))
        except StepFailed as failure:
            if failure.code not in _GONE:
                raise
            notes.append(f"the target cannot be compared any more: {failure.message}")
            return (), None
        orders = [
            ProofOrder(errand=errand, target_disk=disk, snapshot_vdi=snapshot.vdis[disk.vdi]) for disk in _disks(report)
        ]
        proofs = await _all("prove_target", orders, ProofReport)
        return (proofs, None) if all(proof.made for proof in proofs) else ((), snapshot)

    async def _source(self, report: Report, errand: Errand, notes: list[str]) -> tuple[ProofReport, ...]:
        async def prove(freeze: Freeze) -> tuple[ProofReport, ...]:
            orders = [ProofOrder(errand=errand, target_disk=disk, freeze=freeze) for disk in _disks(report)]
            return await _all("prove_source", orders, ProofReport)

        return await self._frozen(errand, notes, prove)

    async def _both(
        self, report: Report, errand: Errand, notes: list[str], snapshot: SnapshotReport
    ) -> tuple[tuple[ProofReport, ...], tuple[ProofReport, ...]]:
        """By the pool's own checksum, beside that of the source."""

        async def prove(freeze: Freeze) -> tuple[BothProofs, ...]:
            orders = [
                ProofOrder(errand=errand, target_disk=disk, freeze=freeze, snapshot_vdi=snapshot.vdis[disk.vdi])
                for disk in _disks(report)
            ]
            return await _all("prove_by_checksum", orders, BothProofs)

        both = await self._frozen(errand, notes, prove)
        if not both:
            notes.append("the pool lets nobody read the target, and without the source its checksum tells nothing")
        return tuple(each.sent for each in both), tuple(each.source for each in both)

    async def _frozen(
        self, errand: Errand, notes: list[str], prove: Callable[[Freeze], Awaitable[tuple[Proof, ...]]]
    ) -> tuple[Proof, ...]:
        """Prove something beside the source, which is off; nothing, and a note, where it is not any more."""
        said = SourceOrder(errand=errand)
        try:
            await heard(order("claim_source", said, _STORED, summary="the source is ours meanwhile"))
        except StepFailed as failure:
            if failure.code not in _SOURCE_GONE:
                raise
            notes.append(f"the source cannot be compared any more: {failure.message}")
            return ()
        try:
            freeze = await heard(
                order("freeze", FreezeOrder(errand=errand, pass_no=FREEZE_NO, final=True), Freeze, summary="freeze")
            )
            return await prove(freeze)
        except StepFailed as failure:
            if failure.code not in _SOURCE_GONE:
                raise
            notes.append(f"the source cannot be compared any more: {failure.message}")
            return ()
        finally:
            await in_any_case(self._let_go(said))

    async def _let_go(self, said: SourceOrder) -> None:
        for name in ("thaw", "release_source"):
            await heard(order(name, said, _STORED))


async def _all(name: str, orders: list[ProofOrder], answer: type[Proof]) -> tuple[Proof, ...]:
    handles = [
        order(name, said, answer, summary=f"{name.replace('_', ' ')} {said.target_disk.slot}") for said in orders
    ]
    proofs: list[Proof] = []
    failure: StepFailed | None = None
    for handle in handles:
        try:
            proofs.append(await heard(handle))
        except StepFailed as failed:
            failure = failure or failed
    if failure is not None:
        raise failure
    return tuple(proofs)


def _disks(report: Report) -> list[ShellDisk]:
    return [
        ShellDisk(
            disk_id=each.disk_id, slot=each.slot, vdi=each.vdi, userdevice="", capacity=each.capacity,
            virtual_size=each.capacity, prezeroed=False,
        )
        for each in report.disks
    ]  # fmt: skip
