"""Moving a running VM's disks to another SR of its pool."""

from temporalio import activity

from activities.running import in_thread
from activities.systems import Systems
from contracts.move_disk import MoveDiskReport, MoveDiskRequest


class MovingActivities:
    """A second attempt finds what was moved, and waits for what is being moved (``xapi.busy``)."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def move_disks(self, request: MoveDiskRequest) -> MoveDiskReport:
        """All that were asked for."""
        target = self._systems.target(request.target)
        return await in_thread(lambda: target.move_disks(request), pool=self._systems.pool)
