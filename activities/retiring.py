"""What becomes of the source of a finished migration: a name that says so, or its removal by a human's second yes."""

from temporalio import activity

from activities.running import as_application_error, in_thread
from activities.systems import Systems
from contracts.after import RemoveOrder, Retired, RetireOrder
from contracts.errors import FerryError
from contracts.machine import Power
from contracts.steps import SourceOrder


class RetiringActivities:
    """Both look before they act."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def see_source_off(self, order: SourceOrder) -> None:
        """Raises ``source.runs_again`` when it is not off: two machines of one identity."""
        source = self._systems.source(order.errand.source)
        power = await in_thread(lambda: source.power(order.errand.machine_id), pool=self._systems.pool)
        if power is Power.ON:
            raise as_application_error(
                FerryError("source.runs_again", f"{order.errand.vm} was switched on at its source")
            )

    @activity.defn
    async def retire_source(self, order: RetireOrder) -> Retired:
        """Rename, annotate, mark as migrated."""
        errand = order.errand
        source = self._systems.source(errand.source)
        return await in_thread(lambda: source.retire(errand.machine_id, order), pool=self._systems.pool)

    @activity.defn
    async def remove_source(self, order: RemoveOrder) -> None:
        """With its disks, for good; and only while the VM that it has become is there (SAFETY 22)."""
        errand = order.errand
        source, target = self._systems.source(errand.source), self._systems.target(errand.target)

        attempt = activity.info().attempt

        def work() -> None:
            target.vitals(order.target_vm)  # xapi.shell_broken when it is gone
            try:
                source.remove(errand.machine_id, order)
            except FerryError as error:
                if error.code != "vm.gone" or attempt == 1:  # an earlier attempt has done it, and could not say so
                    raise

        await in_thread(work, pool=self._systems.pool)
