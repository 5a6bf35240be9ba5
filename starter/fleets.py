"""A fleet from outside: what it tells, and what is said to it. Two queries, however many members it has."""

import asyncio
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from contracts.errors import ExitCode, FerryError
from contracts.fleet import FleetAck, FleetReport, FleetStatus
from contracts.fleet_rows import FleetMembers, MemberRow
from contracts.names import FLEET, MEMBERS, STATUS, fleet_workflow_id
from fleets.pace import Pace, pace_of
from fleets.rows import ITS_TURN
from starter.failures import as_ferry_error
from starter.looking import NOBODY_ANSWERS

ANSWER_WITHIN = 30.0
Told = TypeVar("Told", bound=BaseModel)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class SeenFleet:
    """All that is to be known of a fleet now."""

    status: FleetStatus
    members: tuple[MemberRow, ...]
    pace: Pace

    @property
    def exit_code(self) -> ExitCode:
        """0 all done, 3 some, 1 none; 5 where nothing goes on without a human, 8 running."""
        now, standing = self.status, self.status.standing
        if now.over:
            done = standing.get("done", 0)
            return ExitCode.DONE if done == now.members else ExitCode.PARTIAL if done else ExitCode.ERROR
        waits = len([row for row in self.members if row.asks or row.needs_human or row.waits_for not in ("", ITS_TURN)])
        moves = now.copying + now.cutting_over + standing.get("waiting", 0)  # these begin as turns are free
        if now.paused or (waits and waits == standing.get("running", 0) and not moves):
            return ExitCode.WAITING
        return ExitCode.RUNNING


def fleet_name(typed: str) -> str:
    """``spring`` of ``spring`` or ``fleet/spring``.

    Raises:
        FerryError: ``request.invalid``: no fleet can be called so.
    """
    name = typed.removeprefix(FLEET)
    if not _NAME.fullmatch(name):
        raise FerryError("request.invalid", f"{typed!r} is no name of a fleet")
    return name


async def look_at(client: Client, fleet: str) -> SeenFleet:
    """Its status, and a row of each member.

    Raises:
        FerryError: ``workflow.unknown``; ``temporal.no_worker`` where nobody answers.
    """
    status, rows = await asyncio.gather(
        _ask(client, fleet, STATUS, FleetStatus), _ask(client, fleet, MEMBERS, FleetMembers)
    )
    pace = pace_of(rows.members, at_once=status.at_once, now=datetime.now(UTC))
    return SeenFleet(status, rows.members, pace)


async def _ask(client: Client, fleet: str, query: str, told: type[Told]) -> Told:
    name = fleet_name(fleet)
    handle = client.get_workflow_handle(fleet_workflow_id(name))
    try:
        answer: Told = await handle.query(query, result_type=told, rpc_timeout=timedelta(seconds=ANSWER_WITHIN))
    except WorkflowQueryFailedError as error:
        raise FerryError("temporal.no_worker", f"the worker is older than `ferry`: {error}") from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise FerryError("workflow.unknown", f"Temporal knows no fleet {name!r}") from None
        if error.status in NOBODY_ANSWERS:
            raise FerryError("temporal.no_worker", error.message or "no worker answers") from None
        raise as_ferry_error(error) from None
    return answer


async def tell(client: Client, fleet: str, message: str, said: BaseModel) -> FleetAck:
    """One update: approve, pause, resume, cancel, skip, retry or add.

    Raises:
        FerryError: as the fleet refuses it; ``message.wrong_phase`` where it is over.
    """
    name = fleet_name(fleet)
    handle: Any = client.get_workflow_handle(fleet_workflow_id(name))
    try:
        ack: FleetAck = await asyncio.wait_for(
            handle.execute_update(
                message,
                said.model_dump(mode="json", exclude_defaults=True),
                id=f"{message}-{uuid.uuid4()}",
                result_type=FleetAck,
                rpc_timeout=timedelta(seconds=ANSWER_WITHIN),
            ),
            ANSWER_WITHIN,
        )
    except TimeoutError:
        raise FerryError("temporal.no_worker", f"nobody answered {message}; it may still be heard") from None
    except WorkflowUpdateFailedError as error:
        raise as_ferry_error(error) from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise FerryError("message.wrong_phase", f"fleet {name!r} is over, or was never begun") from None
        raise as_ferry_error(error) from None
    return ack


async def cancel_fleet(client: Client, fleet: str) -> None:
    """Cancel the workflow: it undoes who runs, and waits for that.

    Raises:
        FerryError: ``message.wrong_phase`` where it is over.
    """
    name, within = fleet_name(fleet), timedelta(seconds=ANSWER_WITHIN)
    handle = client.get_workflow_handle(fleet_workflow_id(name))
    try:
        running = (await handle.describe(rpc_timeout=within)).status is WorkflowExecutionStatus.RUNNING
        if running:  # Temporal takes the cancel of one that has ended, and says nothing
            await handle.cancel(rpc_timeout=within)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise as_ferry_error(error) from None
        running = False
    if not running:
        raise FerryError("message.wrong_phase", f"fleet {name!r} is over, or was never begun")


async def report_of_fleet(client: Client, fleet: str) -> FleetReport:
    """Wait for its end.

    Raises:
        FerryError: ``workflow.unknown``; somebody terminated it.
    """
    name = fleet_name(fleet)
    handle: Any = client.get_workflow_handle(fleet_workflow_id(name), result_type=FleetReport)
    try:
        report: FleetReport = await handle.result()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise FerryError("workflow.unknown", f"Temporal knows no fleet {name!r}") from None
        raise as_ferry_error(error) from None
    except WorkflowFailureError as error:
        raise as_ferry_error(error) from None
    return report
