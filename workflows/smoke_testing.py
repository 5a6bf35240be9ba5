"""Smoke tests of the started target. A failed one asks a human, and never goes back by itself (SAFETY 17)."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.after import RebootOrder, Smoke, SmokeOrder, SmokeReport
    from workflows.stepping import StepFailed, heard, order

if TYPE_CHECKING:
    from workflows.story import Story

LAST_LOOK = timedelta(minutes=2)
"""The look for the report gives up after that: a pool that does not answer keeps no migration from its end."""
KEPT = 50
"""Tests that the status tells of: seven weeks of daily ones."""


class SmokeTesting:
    """The chapter after the start, told again in probation."""

    def __init__(self, story: "Story") -> None:
        self._story = story

    async def after_start(self) -> None:
        """What the request asks for; twice where it asks for a reboot.

        Raises:
            Ended: somebody cancelled or rolled back.
        """
        smoke = self._story.request.smoke
        if smoke is None or self._story.state.started_at is None:
            return
        first = await self.must_pass(smoke, "after the start")
        if smoke.reboot and await self._rebooted(first):
            await self.must_pass(smoke, "after the reboot", booted_since=first.vitals.booted_at)

    async def must_pass(self, smoke: Smoke, when: str, *, booted_since: datetime | None = None) -> SmokeReport:
        """Again and again until it passes, or a human takes it as it is.

        Raises:
            Ended: somebody cancelled or rolled back.
        """
        story = self._story
        while True:
            said = SmokeOrder(
                errand=story.errand, vm=story.shell.vm, ports=smoke.ports, address=smoke.address,
                guest_tools=smoke.guest_tools, within=smoke.within, booted_since=booted_since,
                console=smoke.console,
            )  # fmt: skip
            try:
                report = await story.hear(order("smoke_target", said, SmokeReport, summary=f"smoke test {when}"))
            except StepFailed as failure:
                await story.park(failure)
                continue
            story.stop_if_asked()
            self._note(report, when)
            failed = StepFailed("smoke.failed", f"{when}: {'; '.join(report.missing)}")
            if report.passed or await self._accepted(failed):
                return report

    async def look(self) -> None:
        """For the report only, where no test was asked for: whether it runs. Holds nothing up."""
        story = self._story
        if story.state.smoke_tests or not workflow.patched("look-at-target"):
            return
        said = SmokeOrder(errand=story.errand, vm=story.shell.vm)
        try:
            report = await heard(order("smoke_target", said, SmokeReport, give_up_after=LAST_LOOK))
        except StepFailed:
            return
        self._note(report, "at the end")

    async def _rebooted(self, first: SmokeReport) -> bool:
        """By the guest's tools; or a human does it, and says retry. False: they take it without."""
        story = self._story
        while True:
            said = RebootOrder(
                errand=story.errand, vm=story.shell.vm, epoch=story.state.epoch, booted_at=first.vitals.booted_at
            )
            try:
                await story.hear(order("reboot_target", said, type(None), summary="reboot the target in order"))
            except StepFailed as failure:
                if await self._accepted(failure):
                    return False
            else:
                return True

    async def _accepted(self, failure: StepFailed) -> bool:
        """Ask a human: whether they take it as it is. Raises ``Ended`` when they go back instead."""
        story = self._story
        await story.park(failure)
        if not story.retry_said.accept:
            return False
        *before, last = story.state.smoke_tests
        if not last.passed:
            accepted = last.model_copy(update={"accepted_by": story.retry_said.who})
            story.set(smoke_tests=(*before, accepted))
        return True

    def _note(self, report: SmokeReport, when: str) -> None:
        story = self._story
        tests = (*story.state.smoke_tests, report.model_copy(update={"when": when}))
        story.set(smoke_tests=tests[-KEPT:])
