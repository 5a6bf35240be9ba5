"""A test migration: make it, start it, throw it away. Watching it is the smoke test's affair."""

from collections.abc import Callable
from typing import TypeVar

from temporalio import activity

from activities.running import in_thread
from activities.systems import Systems
from contracts.test_boot import TestMade, TestOrder

Result = TypeVar("Result")


class TestBootActivities:
    """Each looks before it makes, and finds what an earlier attempt made."""

    __test__ = False

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    async def _step(self, work: Callable[[], Result]) -> Result:
        return await in_thread(work, pool=self._systems.pool)

    @activity.defn
    async def make_test(self, order: TestOrder) -> TestMade:
        """Clones of the shell's disks in a VM on a network without uplink."""
        target = self._systems.target(order.errand.target)
        return await self._step(lambda: target.make_test(order))

    @activity.defn
    async def start_test(self, order: TestOrder) -> None:
        """Boot it."""
        target = self._systems.target(order.errand.target)
        await self._step(lambda: target.start_test(order))

    @activity.defn
    async def drop_test(self, order: TestOrder) -> None:
        """Leave nothing of it."""
        target = self._systems.target(order.errand.target)
        await self._step(lambda: target.drop_test(order))
