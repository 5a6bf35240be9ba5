"""Beginning the fleet of a plan: only of a plan that is still true, and once."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowQueryFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from contracts.errors import FerryError
from contracts.fleet import FleetReport, FleetStatus, MigrateFleetRequest
from contracts.names import MIGRATE_FLEET, QUEUE, STATUS, fleet_workflow_id
from contracts.plan import fleet_request_of
from starter.failures import as_ferry_error
from starter.planning.checking import blocked, problems_of
from starter.planning.differing import Difference, differences, unpinned
from starter.planning.looking import look
from starter.planning.reading import Draft, told

MEMO = "ferry_plan"
"""Of the fleet's workflow: the digest of what it was begun with."""
POLL = 2.0
PATIENCE = timedelta(seconds=10)
MOST_NAMED = 20

Handle = WorkflowHandle[object, FleetReport]


def digest_of(request: MigrateFleetRequest) -> str:
    """What a plan asks for, without what it saw."""
    return hashlib.sha256(request.model_dump_json(exclude_unset=True).encode()).hexdigest()[:16]


def sites_of(request: MigrateFleetRequest) -> tuple[str, ...]:
    """Whose workers it needs, each once; empty: those of none, which see to what all share, and tell people."""
    usual = request.defaults.get("site", "")
    return tuple(dict.fromkeys([*(member.request.get("site", usual) for member in request.members), ""]))


def checked(draft: Draft) -> MigrateFleetRequest:
    """All that can be said without looking.

    Raises:
        FerryError: ``plan.invalid``, ``plan.too_large``, ``plan.not_looked``, ``plan.blocked``.
    """
    if problems := problems_of(draft):
        raise told(draft.path, problems)
    request = fleet_request_of(draft.plan)
    if names := unpinned(draft.plan):
        raise FerryError("plan.not_looked", f"nothing was pinned of {_some(names)}")
    if codes := blocked(draft.plan):
        shown = [
            f"{draft.path}:{draft.line_of(number, 'vm')}: {member.vm}: {', '.join(codes[member.vm])}"
            for number, member in enumerate(draft.plan.members)
            if member.vm in codes
        ]
        raise FerryError("plan.blocked", "\n  ".join(["", *shown[:MOST_NAMED], *_rest(shown)]))
    return request


async def what_changed(client: Client, draft: Draft) -> list[Difference]:
    """Looked at again: what is otherwise than it was pinned, and what does not fit any more."""
    now = await look(client, draft.plan)
    found = differences(draft.plan, now)
    fresh = replace(draft, plan=draft.plan.model_copy(update={"seen": now.seen}))
    found += [
        Difference(f"{draft.path}:{each.line}", each.code, "it fitted", each.message) for each in problems_of(fresh)
    ]
    return found


def stale(found: list[Difference]) -> FerryError:
    """With all of it, a line each."""
    shown = [str(each) for each in found]
    return FerryError("plan.stale", "\n  ".join(["", *shown[:MOST_NAMED], *_rest(shown)]))


@dataclass(frozen=True)
class Begun:
    """The fleet of this very plan. ``report``: of one that has ended."""

    handle: Handle
    report: FleetReport | None = None


async def begun_before(client: Client, request: MigrateFleetRequest) -> Begun | None:
    """The fleet of this very plan, where it runs or has run to its end.

    Raises:
        FerryError: ``fleet.already_running``, by another plan.
    """
    workflow = fleet_workflow_id(request.fleet)
    try:
        described = await client.get_workflow_handle(workflow).describe()
        memo = await described.memo()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise as_ferry_error(error) from None
    mine, handle = memo.get(MEMO) == digest_of(request), client.get_workflow_handle(workflow, result_type=FleetReport)
    if described.status is WorkflowExecutionStatus.COMPLETED and mine:
        return Begun(handle, await handle.result())
    if described.status is not WorkflowExecutionStatus.RUNNING:
        return None
    if not mine:
        raise FerryError("fleet.already_running", f"{workflow} runs since {described.start_time:%Y-%m-%d %H:%M} UTC")
    return Begun(handle)


async def begin_fleet(client: Client, request: MigrateFleetRequest) -> Handle:
    """Start it. Two that apply at once begin one fleet.

    Raises:
        FerryError: ``fleet.already_running``.
    """
    try:
        await client.start_workflow(
            MIGRATE_FLEET,
            request.model_dump(mode="json", exclude_unset=True),  # an older worker refuses fields it does not know
            id=fleet_workflow_id(request.fleet),
            task_queue=QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            memo={MEMO: digest_of(request)},
            static_summary=f"fleet {request.fleet}: {len(request.members)} VMs in {len(request.waves)} waves"[:200],
            rpc_timeout=PATIENCE,
        )
    except WorkflowAlreadyStartedError:
        other = await begun_before(client, request)
        if other is None:  # it ended in this moment: once more, and by whoever applies
            raise FerryError("fleet.already_running", f"fleet/{request.fleet} has just ended") from None
    return client.get_workflow_handle(fleet_workflow_id(request.fleet), result_type=FleetReport)


async def follow(handle: Handle, shown: Callable[[FleetStatus], None]) -> FleetReport:
    """Until its end; ``shown`` hears how it stands whenever that changes.

    Raises:
        FerryError: it was terminated, or Temporal is gone.
    """
    ending = asyncio.ensure_future(handle.result())
    before: FleetStatus | None = None
    try:
        while not ending.done():
            try:
                now: FleetStatus = await handle.query(STATUS, result_type=FleetStatus, rpc_timeout=PATIENCE)
            except (RPCError, WorkflowQueryFailedError):
                now = before or FleetStatus(fleet="", at_once=0)  # no worker just now: it goes on, and so do we
            if now != before and now.fleet:
                shown(now)
            before = now
            await asyncio.wait([ending], timeout=POLL)
        return await ending
    except Exception as error:
        raise as_ferry_error(error) from None
    finally:
        ending.cancel()


def _some(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def _rest(shown: list[str]) -> list[str]:
    return [f"… and {len(shown) - MOST_NAMED} more"] if len(shown) > MOST_NAMED else []
