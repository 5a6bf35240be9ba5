"""All migrations that Temporal knows. Search attributes are read where there are any: none is asked for."""

from typing import Any

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey

from contracts.names import MIGRATE_VM, Attribute, Phase
from starter.fleets import fleet_name

_SOURCE = SearchAttributeKey.for_keyword(Attribute.SOURCE)
_VM = SearchAttributeKey.for_keyword(Attribute.VM)
_TARGET = SearchAttributeKey.for_keyword(Attribute.TARGET)
_FLEET = SearchAttributeKey.for_keyword(Attribute.FLEET)
_PHASE = SearchAttributeKey.for_keyword(Attribute.PHASE)
_NEEDS_HUMAN = SearchAttributeKey.for_bool(Attribute.NEEDS_HUMAN)


async def list_migrations(
    client: Client, *, fleet: str | None = None, phase: Phase | None = None, needs_human: bool = False
) -> list[dict[str, Any]]:
    """One mapping per migration, the latest begun first; runs that were continued are left out.

    Args:
        fleet: only its members. What is asked for here, the server sieves, by its search attributes.

    Raises:
        FerryError: ``request.invalid`` for a name that no fleet can have.
    """
    query = f"WorkflowType = '{MIGRATE_VM}'"
    if fleet is not None:
        query += f" AND {Attribute.FLEET.value} = '{fleet_name(fleet)}'"
    if phase is not None:
        query += f" AND {Attribute.PHASE.value} = '{phase.value}'"
    if needs_human:
        query += f" AND {Attribute.NEEDS_HUMAN.value} = true AND ExecutionStatus = 'Running'"
    return [
        _row(each)
        async for each in client.list_workflows(query)
        if each.status is not WorkflowExecutionStatus.CONTINUED_AS_NEW
    ]


def _row(each: WorkflowExecution) -> dict[str, Any]:
    told = each.typed_search_attributes
    named = each.id.split("/")
    usual = len(named) == 3 and named[0] == "migrate"
    running = each.status is WorkflowExecutionStatus.RUNNING
    execution = each.status.name.lower().replace("_", "-").replace("canceled", "cancelled") if each.status else ""
    phase = told.get(_PHASE, "")
    return {
        "workflow_id": each.id,
        "run_id": each.run_id,
        "fleet": told.get(_FLEET) or "",
        "vm": told.get(_VM) or (named[2] if usual else ""),
        "source": told.get(_SOURCE) or (named[1] if usual else ""),
        "target": told.get(_TARGET) or "",
        # A workflow that was terminated could not change its phase any more.
        "phase": execution if execution in ("terminated", "timed-out") or not phase else phase,
        "execution": execution,
        "needs_human": bool(told.get(_NEEDS_HUMAN, False)) and running,
        "began": each.start_time.isoformat() if each.start_time else None,
        "ended": each.close_time.isoformat() if each.close_time else None,
    }
