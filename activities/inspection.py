"""Looking at the systems for a person: what `ferry inventory` and `ferry doctor` show."""

from temporalio import activity

from activities.running import in_thread
from activities.systems import Systems
from contracts.errors import FerryError
from contracts.inspection import InspectReport, InspectRequest, SystemCheck
from platforms.ports import Source, Target


class InspectionActivities:
    """``inspect`` changes nothing."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def inspect(self, request: InspectRequest) -> InspectReport:
        """An inventory, or the state of all systems."""
        return await in_thread(lambda: self._look(request), pool=self._systems.pool)

    def _look(self, request: InspectRequest) -> InspectReport:
        systems = self._systems
        if request.what == "inventory":
            names = [request.source] if request.source else sorted(systems.sources)
            return InspectReport(
                machines=tuple(machine for name in names for machine in systems.source(name).machines())
            )
        return InspectReport(
            systems=(
                *(_checked(name, "source", source) for name, source in sorted(systems.sources.items())),
                *(_checked(name, "target", target) for name, target in sorted(systems.targets.items())),
            )
        )


def _checked(name: str, kind: str, system: Source | Target) -> SystemCheck:
    try:
        return SystemCheck(name=name, kind=kind, ok=True, line=system.check())
    except FerryError as error:
        return SystemCheck(name=name, kind=kind, ok=False, line=error.message, code=error.code)
