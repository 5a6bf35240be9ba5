"""The workflows that move to the current build, for workers that tell theirs: a behaviour may be named only there."""

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts.capacity import CapacityState
    from contracts.fleet import FleetReport, MigrateFleetInput
    from contracts.names import CAPACITY, MIGRATE_FLEET
from workflows.capacity import Capacity
from workflows.migrate_fleet import MigrateFleet

_NEWEST = VersioningBehavior.AUTO_UPGRADE


@workflow.defn(name=MIGRATE_FLEET, failure_exception_types=[ValidationError], versioning_behavior=_NEWEST)
class VersionedFleet(MigrateFleet):
    """A fleet goes on for months; members that it begins shall have the current code."""

    @workflow.init
    def __init__(self, request: MigrateFleetInput) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: MigrateFleetInput) -> FleetReport:
        """As without versions."""
        return await super().run(request)


@workflow.defn(name=CAPACITY, failure_exception_types=[ValidationError], versioning_behavior=_NEWEST)
class VersionedCapacity(Capacity):
    """There is one table, and it never ends."""

    @workflow.init
    def __init__(self, state: CapacityState) -> None:
        super().__init__(state)

    @workflow.run
    async def run(self, state: CapacityState) -> None:
        """As without versions."""
        await super().run(state)
