"""How long a plan takes, roughly: the first copies at one rate, so many at once. `ferry rehearse` knows better."""

import heapq
from dataclasses import dataclass

from contracts.fleet import Member
from contracts.plan import Plan, rate_of


@dataclass(frozen=True)
class WaveSum:
    """A wave in numbers; seconds until all its first copies are through, if it has all turns."""

    name: str
    machines: int
    disks: int
    size: int
    seconds: float
    warnings: int
    blocked: int


def seconds_of(plan: Plan, member: Member) -> float | None:
    """Of its first copy; None where nothing was seen of it."""
    seen = plan.seen.machines.get(member.vm) if plan.seen is not None else None
    return None if seen is None else seen.bytes / rate_of(plan)[0]


def waves_of(plan: Plan) -> list[WaveSum]:
    """In their order."""
    members: dict[str, list[Member]] = {wave.name: [] for wave in plan.waves}
    for member in plan.members:
        members[plan.wave_of(member).name].append(member)
    return [_sum(plan, name, each) for name, each in members.items()]


def whole_of(plan: Plan) -> WaveSum:
    """All waves together."""
    return _sum(plan, "all", list(plan.members))


def _sum(plan: Plan, name: str, members: list[Member]) -> WaveSum:
    machines = plan.seen.machines if plan.seen is not None else {}
    seen = [machines[member.vm] for member in members if member.vm in machines]
    severities = [{check.severity for check in each.checks} for each in seen]
    return WaveSum(
        name=name,
        machines=len(members),
        disks=sum(len(each.disks) for each in seen),
        size=sum(each.bytes for each in seen),
        seconds=_through([seconds_of(plan, member) or 0.0 for member in members], plan.limits.at_once),
        warnings=sum(each == {"warning"} for each in severities),
        blocked=sum("blocker" in each for each in severities),
    )


def _through(seconds: list[float], at_once: int) -> float:
    """When the last is done, if each begins as soon as a turn is free."""
    turns = [0.0] * min(at_once, max(1, len(seconds)))
    for each in seconds:
        heapq.heapreplace(turns, turns[0] + each)
    return max(turns)
