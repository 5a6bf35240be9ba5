"""``RetireVm``: what becomes of the source of a done migration. Its removal is a human's second yes (SAFETY 22)."""

from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from contracts.after import RemoveOrder, Retired
    from contracts.names import RETIRE_VM
    from contracts.retirement import RetireReport, RetireRequest
    from contracts.steps import Errand, SourceOrder
    from contracts.told import Report
    from workflows.in_any_case import in_any_case
    from workflows.retiring import retire_order
    from workflows.stepping import StepFailed, heard, order


@workflow.defn(name=RETIRE_VM, failure_exception_types=[ValidationError])
class RetireVm:
    """Rename and annotate it; or remove it, which takes its name typed again."""

    @workflow.run
    async def run(self, request: RetireRequest) -> RetireReport:
        """The record must say that it is done; the source itself, that it is the one which was retired."""
        self.site = request.report.errand.site if request.report.errand else ""
        report = request.report
        errand = report.errand
        if errand is None or report.outcome != "done" or not report.target_vm:
            raise _refused(f"the migration of {report.vm or 'that VM'} ended {report.outcome!r}: its source stays")
        try:
            name = await (self._removed(request, errand) if request.remove else self._renamed(report, errand))
        except StepFailed as failure:
            raise ApplicationError(failure.message, type=failure.code, non_retryable=True) from failure
        return RetireReport(
            vm=report.vm, migration=report.migration, outcome="removed" if request.remove else "renamed", name=name,
            who=request.who, note=request.note,
        )  # fmt: skip

    async def _renamed(self, report: Report, errand: Errand) -> str:
        async def rename() -> str:
            retiring = retire_order(errand, 0, "", report.target_vm)
            return (await heard(order("retire_source", retiring, Retired, summary="rename and annotate"))).name

        return await self._as_ours(errand, rename)

    async def _removed(self, request: RetireRequest, errand: Errand) -> str:
        if not request.confirm:
            raise _refused("type the source's name or its instanceUuid again in `confirm`: it is removed for good")
        if not request.report.disks:
            raise _refused("the report names no disks, so that nothing can be compared")
        said = RemoveOrder(
            errand=errand, confirmed=request.confirm, target_vm=request.report.target_vm,
            disk_ids=tuple(disk.disk_id for disk in request.report.disks),
        )  # fmt: skip

        async def remove() -> str:
            await heard(
                order("remove_source", said, type(None), summary=f"remove {request.confirm}: {request.who} said so")
            )
            return request.confirm

        return await self._as_ours(errand, remove)

    async def _as_ours(self, errand: Errand, work: Callable[[], Awaitable[str]]) -> str:
        """With our mark on the source: another migration of it is refused meanwhile, and refuses us."""
        said = SourceOrder(errand=errand)
        await heard(order("claim_source", said, type(None), summary="the source is ours meanwhile"))
        try:
            return await work()
        finally:
            await in_any_case(self._let_go(said))

    async def _let_go(self, said: SourceOrder) -> None:
        try:
            await heard(order("release_source", said, type(None)))
        except StepFailed as failure:
            if failure.code != "vm.gone":  # which is what was wanted
                raise


def _refused(why: str) -> ApplicationError:
    return ApplicationError(why, type="retire.refused", non_retryable=True)
