"""Looking at the systems for a person: what `ferry inventory` and `ferry doctor` show."""

from collections.abc import Callable

from temporalio import activity

from activities.doctoring import of_source, of_target, of_worker
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
                # Notices belong to no site: a worker of one sends none.
                *of_worker(systems.store, systems.tools, None if systems.site else systems.notify),
                *(each for name, source in sorted(systems.sources.items()) for each in _source(name, source)),
                *(each for name, target in sorted(systems.targets.items()) for each in _target(name, target)),
            )
        )


def _source(name: str, source: Source) -> list[SystemCheck]:
    """Whether it lets us in, and if it does, what else there is to say."""
    first = _checked(name, "source", source)
    return [first, *_looked(name, "source", lambda: of_source(name, source.facts(None)))] if first.ok else [first]


def _target(name: str, target: Target) -> list[SystemCheck]:
    first = _checked(name, "target", target)
    return [first, *_looked(name, "target", lambda: of_target(name, target.facts(None)))] if first.ok else [first]


def _looked(name: str, kind: str, look: Callable[[], list[SystemCheck]]) -> list[SystemCheck]:
    try:
        return look()
    except FerryError as error:
        return [SystemCheck(name=name, kind=kind, topic="look", ok=False, line=error.message, code=error.code)]


def _checked(name: str, kind: str, system: Source | Target) -> SystemCheck:
    try:
        return SystemCheck(name=name, kind=kind, ok=True, line=system.check())
    except FerryError as error:
        return SystemCheck(name=name, kind=kind, ok=False, line=error.message, code=error.code)
