"""Messages to a running migration: updates, which are accepted or refused with a code."""

import asyncio
import getpass
import os
import uuid
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ValidationError
from temporalio.client import Client, RPCError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCStatusCode

from contracts.errors import FerryError
from contracts.messages import Ack, Approve, Rollback
from contracts.names import Message
from contracts.told import Status
from starter.failures import as_ferry_error, fields_told
from starter.seen import Seen

ANSWER_WITHIN = 20.0
"""Seconds for a worker to take the message; it takes milliseconds where one runs."""


def speaker(given: str | None) -> str:
    """In whose name a message goes: who was named, else who types."""
    if given:
        return given
    try:
        return os.environ.get("USER") or getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


async def send(client: Client, workflow: str, message: Message, said: BaseModel, *, once: str | None = None) -> Ack:
    """Send an update and hear the answer.

    Args:
        once: id of the update: the same one sent twice has one effect.

    Raises:
        FerryError: refused, with the code that the workflow gave; ``temporal.no_worker`` when nobody answers.
    """
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(workflow)
    try:
        return await asyncio.wait_for(
            handle.execute_update(
                message.value,
                said.model_dump(mode="json", exclude_defaults=True),  # an older worker refuses fields it does not know
                id=once or f"{message.value}-{uuid.uuid4()}",
                result_type=Ack,
                rpc_timeout=timedelta(seconds=ANSWER_WITHIN),
            ),
            ANSWER_WITHIN,
        )
    except TimeoutError:
        raise FerryError("temporal.no_worker", f"nobody answered {message.value}; it may still be heard") from None
    except WorkflowUpdateFailedError as error:
        raise as_ferry_error(error) from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise FerryError("message.wrong_phase", f"{workflow} is not running") from None
        raise as_ferry_error(error) from None


async def approve(
    client: Client,
    seen: Seen,
    *,
    who: str,
    note: str = "",
    ticket: str | None = None,
    expires: str | None = None,
    max_downtime: str | None = None,
) -> Ack:
    """Yes to the cutover, for the facts of the ticket that was seen, or was named.

    The id of the update names who says it and counts the decisions so far: the same yes sent twice is one, while a
    yes after a no (or after a cutover that was undone) is a new one, though its ticket is the same.
    """
    status = answering(seen)
    named = ticket or status.approval_ticket
    if not named:
        raise FerryError("message.wrong_phase", f"{seen.vm} has nothing to approve yet: it is in {seen.phase}")
    bounds = {"expires": expires, "max_downtime": max_downtime}
    try:
        said = Approve.model_validate({"approval_ticket": named, "who": who, "note": note, **bounds})
    except ValidationError as error:
        raise FerryError("request.invalid", fields_told(error)) from None
    once = f"approve-{named}-{len(status.decisions)}-{who}"
    return await send(client, seen.workflow, Message.APPROVE, said, once=once)


async def roll_back(client: Client, seen: Seen, *, who: str, note: str = "") -> Ack:
    """Back to the source, naming the time since which the target's writes are lost."""
    status = answering(seen)
    since = status.started_at.isoformat() if status.started_at else ""
    said = Rollback(who=who, note=note, lose_target_writes_since=since)
    return await send(client, seen.workflow, Message.ROLLBACK, said)


def answering(seen: Seen) -> Status:
    """The status of a migration that runs and answers.

    Raises:
        FerryError: it has ended, or no worker answers.
    """
    if seen.over:
        raise FerryError("message.wrong_phase", f"the migration of {seen.vm} has ended: {seen.outcome}")
    if seen.status is None:
        raise seen.silence or FerryError("temporal.no_worker", "no worker answers")
    return seen.status
