"""Starting a migration: the same for `ferry start` and the demo."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from contracts.durations import spoken
from contracts.errors import FerryError
from contracts.names import MIGRATE_VM, QUEUE, usual_workflow_id
from contracts.request import MigrateVmRequest
from starter.failures import fields_told


def request_of(given: Mapping[str, Any]) -> MigrateVmRequest:
    """The request; what is None is left to its default.

    Raises:
        FerryError: ``request.invalid``, naming the field.
    """
    try:
        return MigrateVmRequest.model_validate({key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise FerryError("request.invalid", fields_told(error)) from None


async def begin(client: Client, request: MigrateVmRequest) -> WorkflowHandle[Any, Any]:
    """Start ``MigrateVm``. The id is the lock against a second start; one that has ended does not hold it.

    Raises:
        FerryError: ``workflow.already_running``.
    """
    workflow = usual_workflow_id(request.source, request.vm)
    try:
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            MIGRATE_VM,
            request.model_dump(mode="json", exclude_unset=True),  # an older worker refuses fields it does not know
            id=workflow,
            task_queue=QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_summary=f"{request.vm}: {request.source} → {request.target}"[:200],
            static_details=_details(request),
            rpc_timeout=timedelta(seconds=10),
        )
    except WorkflowAlreadyStartedError:
        raise FerryError("workflow.already_running", f"{workflow} runs already") from None
    return handle


def _details(request: MigrateVmRequest) -> str:
    return "\n".join(
        (
            f"Moves **{request.vm}** from {request.source} to {request.target}.",
            "",
            f"- approval: {request.approval}",
            f"- a delta pass every {spoken(request.delta_interval)}",
            f"- downtime budget: {spoken(request.downtime_budget)}",
            f"- power-off: {request.power_off}",
        )
    )
