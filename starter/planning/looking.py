"""Having a worker look at a plan's VMs and pools, as `ferry assess` does: once for each mapping that members share."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from temporalio.client import Client

from contracts.assessment import Assessed, AssessRequest, Summary
from contracts.capacity import limits_among
from contracts.errors import FerryError
from contracts.fleet import Member
from contracts.plan import Plan
from contracts.plan_seen import PinnedCheck, PinnedTarget, PinnedVm, PlanSeen, target_seen
from starter.assessment.live import looked

Item = TypeVar("Item")
A_LOOK = 4000
"""VMs that one look names: its request stays far below what Temporal carries."""


@dataclass
class Looked:
    """What was seen of a plan. ``several``: a member's name that several VMs have, and the ids to name it by."""

    seen: PlanSeen
    gone: list[str] = field(default_factory=list)
    several: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """Which VMs of an inventory."""

    vms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.vms or self.tags or self.folders)


async def look(client: Client, plan: Plan) -> Looked:
    """At all members of a plan, by what was pinned of them, else by their names.

    Raises:
        FerryError: what the worker met. Members that are not there are ``gone``.
    """
    groups: dict[tuple[Any, ...], list[Member]] = defaultdict(list)
    for member in plan.members:
        groups[_mapping(plan, member)].append(member)
    found = Looked(PlanSeen(at=datetime.now(UTC)))
    targets: dict[str, PinnedTarget] = {}
    machines: dict[str, PinnedVm] = {}
    capacity: dict[str, int] = {}
    bandwidth: dict[str, str] = {}
    for members in (some for each in groups.values() for some in _parts(each)):
        said = plan.said_of(members[0])
        wanted = dict.fromkeys(word for member in members for word in _words(plan, member))
        summary, rows = await _asked(client, _request(said, tuple(wanted)))
        capacity |= summary.capacity
        bandwidth |= summary.bandwidth
        if summary.target is not None:
            target = str(said["target"])
            targets[target] = target_seen(summary.target, str(said.get("sr") or ""), targets.get(target))
        by_word = _by_word(rows)
        for member in members:
            matches = next((by_word[word] for word in _words(plan, member) if word in by_word), [])
            if len(matches) == 1:
                machines[member.vm] = pin_of(matches[0])
            elif matches:
                found.several[member.vm] = [row.machine_id or row.ref for row in matches]
            else:
                found.gone.append(member.vm)
    seen = PlanSeen(at=found.seen.at, targets=targets, machines=machines)
    pinned = plan.model_copy(update={"seen": seen})
    used = sorted({each for member in plan.members for each in pinned.resources_of(member)})
    limits, budgets = limits_among(capacity, used), limits_among(bandwidth, used)
    found.seen = seen.model_copy(update={"limits": limits, "bandwidth": budgets})
    return found


async def choose(client: Client, said: dict[str, Any], choice: Choice) -> list[Assessed]:
    """The VMs that are chosen, by name; all of them where nothing is said.

    Args:
        said: source, target and defaults of the plan.

    Raises:
        FerryError: ``vm.unknown``: a name that nobody has.
    """
    rows: list[Assessed] = []
    for some in _parts(choice.vms) or [()]:
        request = _request(said, some).model_copy(update={"tags": choice.tags, "folders": choice.folders})
        rows += (await looked(client, request))[1]
    rows = list({(row.source, row.ref): row for row in rows}.values())
    if not (choice.tags or choice.folders):
        by_word = _by_word(rows)
        names = [word for word in choice.vms if not any(sign in word for sign in "*?[") and word not in by_word]
        if names:
            more = f" and {len(names) - 20} more" if len(names) > 20 else ""
            raise FerryError("vm.unknown", f"no VM of {said['source']} is called {', '.join(names[:20])}{more}")
    return rows


def pin_of(row: Assessed) -> PinnedVm:
    """What is pinned of a row; of a VM that could not be read, why."""
    if row.pinned is not None:
        return row.pinned.model_copy(update={"source": row.source})
    checks = tuple(
        PinnedCheck(code=each.code, severity=each.severity, message=each.message[:300]) for each in row.checks
    )
    return PinnedVm(name=row.name, ref=row.ref, source=row.source, checks=checks)


def _parts(many: Sequence[Item]) -> list[Sequence[Item]]:
    return [many[start : start + A_LOOK] for start in range(0, len(many), A_LOOK)]


def _mapping(plan: Plan, member: Member) -> tuple[Any, ...]:
    said = plan.said_of(member)
    networks, steps = said.get("networks") or {}, said.get("approved_steps") or {}
    return (
        said["source"],
        said["target"],
        said.get("site") or "",
        said.get("sr") or "",
        said.get("template"),
        tuple(sorted(networks.items())),
        tuple(sorted(steps)),
    )


def _request(said: dict[str, Any], vms: Sequence[str]) -> AssessRequest:
    return AssessRequest(
        source=said["source"], target=said["target"], sr=said.get("sr"), networks=said.get("networks") or {},
        template=said.get("template"), approved_steps=tuple(said.get("approved_steps") or ()), vms=tuple(vms),
        pins=True, site=str(said.get("site") or ""),
    )  # fmt: skip


def _words(plan: Plan, member: Member) -> tuple[str, ...]:
    """What it is looked for by, best first: a name may have come to another VM since."""
    pinned = plan.seen.machines.get(member.vm) if plan.seen is not None else None
    known = (pinned.machine_id,) if pinned is not None and pinned.machine_id else ()
    return tuple(dict.fromkeys((*known, member.vm)))


async def _asked(client: Client, request: AssessRequest) -> tuple[Summary, list[Assessed]]:
    try:
        summary, rows = await looked(client, request)
    except FerryError as error:
        if error.code != "vm.unknown":
            raise
        # None of them is there; the pool is looked at all the same, by a look that finds any VM at all.
        summary, _ = await looked(client, request.model_copy(update={"vms": (), "pins": False}))
        return summary, []
    return summary, rows


def _by_word(rows: Iterable[Assessed]) -> dict[str, list[Assessed]]:
    """By name, instanceUuid and moref."""
    found: dict[str, list[Assessed]] = defaultdict(list)
    for row in rows:
        for word in dict.fromkeys((row.name, row.machine_id, row.ref)):
            if word:
                found[word].append(row)
    return found
