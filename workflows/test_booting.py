"""A test migration between two passes: what was copied so far is booted from clones, watched, and thrown away.

The source is not touched; the next pass waits until it is over, since clones are made of disks that nobody writes
(SAFETY 15). Whatever comes of it is told, and neither fails nor parks the migration.
"""

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.after import SmokeOrder, SmokeReport
    from contracts.machine import Power
    from contracts.migration import UndoStep
    from contracts.test_boot import TEST_SUFFIX, TestBootReport, TestMade, TestOrder
    from workflows.stepping import StepFailed, order

if TYPE_CHECKING:
    from workflows.story import Story

KEPT = 20
"""Tests that the status tells of."""


class TestBooting:
    """The chapter that any number of times comes between two passes."""

    __test__ = False

    def __init__(self, story: "Story") -> None:
        self._story = story

    async def if_asked(self) -> None:
        """The test that somebody asked for.

        Raises:
            Ended: somebody cancelled; the way back takes the test away.
            StepFailed: never for the test's own failure.
        """
        story = self._story
        asked = story.state.test_boot
        if asked is None:
            return
        number = story.state.tests + 1
        story.set(tests=number)
        depth = len(story.state.undo)
        story.going_back.will_undo(UndoStep.DROP_TEST)
        vitals, outcome, message = None, "failed", ""
        try:
            report = await self._watched(self.order_of(number))
        except StepFailed as failure:
            message = f"{failure.code}: {failure.message}"
        else:
            vitals = report.vitals
            if vitals.power is not Power.ON:
                outcome, message = "stopped", "; ".join(report.missing)
            else:
                outcome = "tools-answer" if vitals.tools else "runs"
        await story.going_back.undo_down_to(depth)
        told = TestBootReport(
            at=workflow.now(), who=asked.who, note=asked.note, outcome=outcome, message=message, vitals=vitals,
            passes=len(story.state.passes),
        )  # fmt: skip
        story.set(test_boot=None, test_boots=(*story.state.test_boots, told)[-KEPT:])

    async def _watched(self, said: TestOrder) -> SmokeReport:
        """It passes when its tools answer; one without tools is watched to the end."""
        story = self._story
        asked = story.state.test_boot
        assert asked is not None
        made = await story.hear(order("make_test", said, TestMade, summary=f"make {said.name}"))
        await story.hear(order("start_test", said, type(None), summary=f"boot {said.name}"))
        watch = SmokeOrder(errand=story.errand, vm=made.vm, guest_tools=True, within=asked.within)
        report = await story.hear(order("smoke_target", watch, SmokeReport, summary=f"watch {said.name}"))
        story.stop_if_asked()
        return report

    def order_of(self, number: int) -> TestOrder:
        """Its name says what it is, in XO too."""
        story = self._story
        name = f"{story.preflight.machine.name}{TEST_SUFFIX}"
        return TestOrder(errand=story.errand, shell=story.shell, name=name, number=number)
