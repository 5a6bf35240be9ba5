"""What makes a plan one that cannot be carried out, with the line. Pure: of the file alone."""

from collections import defaultdict
from collections.abc import Iterator

from pydantic import ValidationError

from contracts.fleet import Member, a_circle
from contracts.plan import Plan
from contracts.plan_seen import PinnedSr
from contracts.request import MigrateVmRequest
from contracts.sizes import spoken_size
from starter.planning.located import Problem
from starter.planning.reading import Draft

OURS = ("vm", "fleet", "approval", "quorum", "adopt")
"""Fields of the request that the plan says itself."""


def problems_of(draft: Draft) -> list[Problem]:
    """All of them: of its order, its requests, and of the room and the networks that were seen."""
    found = [*_order(draft), *_requests(draft)]
    return found or [*_networks(draft), *_rooms(draft)]


def blocked(plan: Plan) -> dict[str, tuple[str, ...]]:
    """VM to the codes that block it, unless its request overrides them."""
    found: dict[str, tuple[str, ...]] = {}
    for member in plan.members:
        seen = plan.seen.machines.get(member.vm) if plan.seen is not None else None
        overridden = plan.said_of(member).get("overrides") or {}
        codes = tuple(
            dict.fromkeys(
                each.code
                for each in (seen.checks if seen is not None else ())
                if each.severity == "blocker" and not (each.overridable and each.code in overridden)
            )
        )
        if codes:
            found[member.vm] = codes
    return found


def _order(draft: Draft) -> Iterator[Problem]:
    plan = draft.plan
    waves: dict[str, int] = {}
    for number, wave in enumerate(plan.waves):
        if wave.name in waves:
            yield Problem(draft.where.at("waves", number), f"a second wave is called {wave.name!r}")
        waves.setdefault(wave.name, number)
    first: dict[str, int] = {}
    for number, member in enumerate(plan.members):
        if member.vm in first:
            line = draft.line_of(first[member.vm], "vm")
            yield Problem(draft.line_of(number, "vm"), f"{member.vm} is in it twice, first in line {line}")
        first.setdefault(member.vm, number)
        if member.wave and member.wave not in waves:
            yield Problem(draft.line_of(number, "wave"), f"{member.vm}: there is no wave {member.wave!r}")
    yield from _same_machine(draft)
    for number, member in enumerate(plan.members):
        for name in member.after:
            line = draft.line_of(number, "after")
            if name not in first:
                yield Problem(line, f"{member.vm} comes after {name}, which is not in the plan")
            elif waves.get(plan.wave_of(plan.members[first[name]]).name, 0) > waves.get(plan.wave_of(member).name, 0):
                later = plan.wave_of(plan.members[first[name]]).name
                yield Problem(line, f"{member.vm} comes after {name}, which is in the later wave {later!r}: for ever")
    if circle := a_circle({member.vm: member.after for member in plan.members}):
        lines = ", ".join(str(draft.line_of(first[name], "after")) for name in circle[:-1][:20])
        yield Problem(
            draft.line_of(first[circle[0]], "after"),
            f"each waits for the next, in a circle: {' → '.join(circle[:21])} (lines {lines})",
        )


def _same_machine(draft: Draft) -> Iterator[Problem]:
    """One VM under two names: its name and its instanceUuid."""
    machines = draft.plan.seen.machines if draft.plan.seen is not None else {}
    known: dict[tuple[str, str], str] = {}
    for number, member in enumerate(draft.plan.members):
        seen = machines.get(member.vm)
        if seen is None or not seen.machine_id:
            continue
        other = known.setdefault((seen.source, seen.machine_id), member.vm)
        if other != member.vm:
            yield Problem(draft.line_of(number, "vm"), f"{member.vm} is the same VM as {other}")


def _requests(draft: Draft) -> Iterator[Problem]:
    """Of the defaults once, and of each member that says something of its own."""
    plan, where = draft.plan, draft.where
    for name in OURS:
        if name in plan.defaults:
            yield Problem(where.at("defaults", name), f"defaults.{name}: the plan says that, by its waves and members")
    base = {"source": plan.source, "target": plan.target, **plan.defaults}
    wrong = list(_wrong({**base, "vm": "any"}))
    for path, message in wrong:
        yield Problem(where.at("defaults", *path), f"defaults{''.join(f'.{step}' for step in path)}: {message}")
    for number, member in enumerate(plan.members):
        for name in OURS:
            if name in member.request:
                line = draft.line_of(number, "request", name)
                yield Problem(line, f"{member.vm}: request.{name}: the plan says that, by its waves and members")
        if wrong or not member.request:
            continue
        for path, message in _wrong(plan.said_of(member)):
            line = draft.line_of(number, "request", *path)
            yield Problem(line, f"{member.vm}: request{''.join(f'.{step}' for step in path)}: {message}")


def _wrong(said: dict[str, object]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    try:
        MigrateVmRequest.model_validate(said)
    except ValidationError as error:
        for each in error.errors():
            path = tuple(step for step in each["loc"] if isinstance(step, str | int))
            unknown = each["type"] == "extra_forbidden"
            yield path, "there is no such key" if unknown else each["msg"].removeprefix("Value error, ")


def _networks(draft: Draft) -> Iterator[Problem]:
    plan = draft.plan
    for number, member in enumerate(plan.members):
        seen = plan.seen.machines.get(member.vm) if plan.seen is not None else None
        target = plan.seen.targets.get(str(plan.said_of(member)["target"])) if plan.seen is not None else None
        if seen is None or target is None:
            continue
        wanted = plan.networks_of(member)
        for name in dict.fromkeys(nic.network for nic in seen.nics):
            counterpart = wanted.get(name) or wanted.get("*")
            line = draft.line_of(number, "vm")
            if counterpart is None:
                yield Problem(
                    line, f"{member.vm}: network {name!r} is not mapped: say where it goes in `networks`",
                    "preflight.unmapped_network",
                )  # fmt: skip
            elif counterpart not in target.networks:
                told = f"{member.vm}: network {name!r} goes to {counterpart!r}, which pool {target.pool} has not"
                yield Problem(line, told, "preflight.unmapped_network")


def _rooms(draft: Draft) -> Iterator[Problem]:
    """Of each SR: the VM with which its promises are more than it has. In the order of the waves, as it is filled."""
    plan = draft.plan
    if plan.seen is None:
        return
    promised: dict[str, int] = defaultdict(int)
    over: set[str] = set()
    waves = {wave.name: number for number, wave in reversed(list(enumerate(plan.waves)))}
    members = sorted(enumerate(plan.members), key=lambda each: waves.get(each[1].wave, 0))
    for number, member in members:
        seen, sr, problem = _room_of(draft, number, member)
        if problem is not None:
            yield problem
        if sr is None or seen == 0:
            continue
        key = sr.uuid
        promised[key] += seen
        most = sr.free if sr.thick else int(sr.free * plan.limits.overcommit)
        if promised[key] > most and key not in over:
            over.add(key)
            total = sum(_bytes_on(plan, each, key) for each in plan.members)
            often = 1 if sr.thick else plan.limits.overcommit
            times = "" if often == 1 else f" ({often:g} times its free room)"
            how = "a thick SR reserves each disk twice" if sr.thick else "raise limits.overcommit if that may be"
            yield Problem(
                draft.line_of(number, "vm"),
                f"{member.vm}: from here on SR {sr.name} is overcommitted: it can be promised "
                f"{spoken_size(most)}{times}, and all of the plan want {spoken_size(total)}; {how}",
                "preflight.sr_too_small" if sr.thick else "preflight.sr_overcommitted",
            )


def _room_of(draft: Draft, number: int, member: Member) -> tuple[int, PinnedSr | None, Problem | None]:
    plan = draft.plan
    assert plan.seen is not None
    target = plan.seen.targets.get(str(plan.said_of(member)["target"]))
    if target is None or member.vm not in plan.seen.machines:
        return 0, None, None
    line, named = draft.line_of(number, "request", "sr"), plan.sr_of(member)
    sr = target.srs.get(named)
    if sr is None:
        return 0, None, Problem(line, f"{member.vm}: SR {named!r} was not looked at: run `ferry plan` again")
    if not sr.uuid:
        what = f"pool {target.pool} has no SR {named!r}" if named else f"pool {target.pool} has no default SR: name one"
        return 0, None, Problem(line, f"{member.vm}: {what}", "preflight.unknown_sr")
    return _bytes_on(plan, member, sr.uuid), sr, None


def _bytes_on(plan: Plan, member: Member, uuid: str) -> int:
    """What a member takes of that SR: of a thick one each disk twice, since a snapshot is taken before the start."""
    assert plan.seen is not None
    seen = plan.seen.machines.get(member.vm)
    target = plan.seen.targets.get(str(plan.said_of(member)["target"]))
    sr = target.srs.get(plan.sr_of(member)) if target is not None else None
    if seen is None or sr is None or sr.uuid != uuid:
        return 0
    return sum(disk.capacity for disk in seen.disks) * (2 if sr.thick else 1)
