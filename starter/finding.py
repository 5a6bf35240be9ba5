"""From what a person types to a workflow id."""

from temporalio.client import Client

from contracts.errors import FerryError
from contracts.names import MIGRATE_VM, usual_workflow_id
from starter.settings import Settings


async def workflow_of(client: Client, settings: Settings, vm: str, source: str | None) -> str:
    """The workflow id: a full id as it is; a name by its source; without a source, whatever Temporal has of it.

    Raises:
        FerryError: ``workflow.unknown``; ``request.invalid`` when several sources have a migration of that name.
    """
    if "/" in vm:
        return vm
    if source is not None or len(settings.sources) == 1:
        return usual_workflow_id(settings.source(source), vm)
    found = {
        each.id
        async for each in client.list_workflows(f"WorkflowType = '{MIGRATE_VM}'")
        if each.id.startswith("migrate/") and each.id.rsplit("/", 1)[-1] == vm
    }
    if not found:
        raise FerryError("workflow.unknown", f"Temporal knows no migration of {vm!r}")
    if len(found) > 1:
        raise FerryError(
            "request.invalid", f"several migrations are called {vm!r}, name one: {', '.join(sorted(found))}"
        )
    return found.pop()
