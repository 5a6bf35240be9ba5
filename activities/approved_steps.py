"""Steps on the source that the request approved beforehand."""

from temporalio import activity

from activities.running import in_thread
from activities.systems import Systems
from contracts.approved_steps import ApprovedStep, StepDone, StepOrder


class ApprovedStepActivities:
    """``take_approved_step``: whichever it is."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def take_approved_step(self, order: StepOrder) -> StepDone:
        """Look, do what is left of it, wait until it is done."""
        return await in_thread(lambda: self._take(order), pool=self._systems.pool)

    def _take(self, order: StepOrder) -> StepDone:
        errand = order.errand
        source, mark = self._systems.source(errand.source), errand.mark(order.epoch)
        if order.step is ApprovedStep.REMOVE_SNAPSHOTS:
            return StepDone(done=source.remove_snapshots(errand.machine_id, order.snapshots, mark))
        return StepDone(done=source.eject_iso(errand.machine_id, mark))
