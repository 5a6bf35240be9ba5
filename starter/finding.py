"""From what a person types to a workflow id."""

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from contracts.errors import FerryError
from contracts.names import FLEET, MIGRATE_VM, Attribute, usual_workflow_id
from starter.failures import as_ferry_error
from starter.settings import Settings


async def workflow_of(client: Client, settings: Settings, vm: str, source: str | None) -> str:
    """The workflow id: a full id as it is; a name by its source; else whatever Temporal has of a VM of that name.

    Raises:
        FerryError: ``workflow.unknown``; ``request.invalid`` when several migrations could be meant.
    """
    if vm.startswith(FLEET):
        raise FerryError("request.invalid", f"{vm} is a fleet: `ferry status {vm}`, `ferry fleet --help`")
    if "/" in vm:
        return vm
    named = settings.source(source) if source is not None or len(settings.sources) == 1 else None
    if named is not None and await _exists(client, usual_workflow_id(named, vm)):
        return usual_workflow_id(named, vm)
    found = await _of_vm(client, vm, named)
    if not found:
        raise FerryError("workflow.unknown", f"Temporal knows no migration of {vm!r}")
    if len(found) > 1:
        raise FerryError(
            "request.invalid", f"several migrations are called {vm!r}, name one: {', '.join(sorted(found))}"
        )
    return found.pop()


async def _exists(client: Client, workflow: str) -> bool:
    try:
        await client.get_workflow_handle(workflow).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise as_ferry_error(error) from None
    return True


async def _of_vm(client: Client, vm: str, source: str | None) -> set[str]:
    """Ids of migrations of that VM, or that end in its name: started by another door, under an id of its own."""
    if "'" in vm:
        return set()
    query = f"WorkflowType = '{MIGRATE_VM}'"
    found = {
        each.id
        async for each in client.list_workflows(query)
        if source is None and each.id.startswith("migrate/") and each.id.rsplit("/", 1)[-1] == vm
    }
    query += f" AND {Attribute.VM.value} = '{vm}'"
    if source is not None:
        query += f" AND {Attribute.SOURCE.value} = '{source}'"
    try:
        return found | {each.id async for each in client.list_workflows(query)} | await _itself(client, vm)
    except RPCError:  # a server that no worker has told of the search attributes yet
        return found | await _itself(client, vm)


async def _itself(client: Client, vm: str) -> set[str]:
    """What was typed may be the id of a migration that was started elsewhere."""
    return {vm} if await _exists(client, vm) else set()
