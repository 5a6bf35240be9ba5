"""Which members and waves a choice of VMs comes to. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from contracts.assessment import Assessed
from contracts.plan import Plan


@dataclass
class Proposal:
    """What is added. ``members``: with a comment for people each."""

    waves: list[str] = field(default_factory=list)
    members: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    known: int = 0
    """VMs of the choice that the plan has already."""


@dataclass(frozen=True)
class Waves:
    """How waves are made: of so many VMs each, or by the tag that fits; else all are in the first."""

    size: int | None = None
    tag: str = ""


def propose(
    rows: Sequence[Assessed],
    waves: Waves,
    *,
    plan: Plan | None = None,
    said: Mapping[str, Mapping[str, Any]] | None = None,
) -> Proposal:
    """Members for the VMs that the plan has not, in the order of the list, else of their names.

    Args:
        said: by name or id: what a list says of a VM: ``wave``, ``after``, ``sr``.
    """
    there = _there(plan)
    made = Proposal()
    twins = Counter(row.name for row in rows)
    fresh = []
    for row in rows:
        if {row.name, row.machine_id, row.ref} & there and (row.machine_id in there or twins[row.name] == 1):
            made.known += 1
        else:
            fresh.append(row)
    names = {row.machine_id: row.machine_id if twins[row.name] > 1 else row.name for row in fresh}
    existing = [wave.name for wave in plan.waves] if plan is not None else []
    places = {word: number for number, word in enumerate(said or {})}

    def place(row: Assessed) -> tuple[Any, ...]:
        listed = places.get(row.machine_id, places.get(row.name, len(places)))
        return listed, _natural(row.name), row.machine_id

    for number, row in enumerate(sorted(fresh, key=place)):
        more = (said or {}).get(row.machine_id) or (said or {}).get(row.name) or {}
        wave = str(more.get("wave") or "") or _wave_of(row, waves, number, existing)
        if wave and wave not in existing and wave not in made.waves:
            made.waves.append(wave)
        vm = names.get(row.machine_id) or row.name
        request = {"sr": more["sr"]} if more.get("sr") else {}
        member = {"vm": vm, "wave": wave, "after": list(more.get("after") or ()), "request": request}
        made.members.append((member, row.name if vm != row.name else ""))
    if waves.tag:
        made.waves.sort(key=_natural)
    return made


def _there(plan: Plan | None) -> set[str]:
    if plan is None:
        return set()
    machines = plan.seen.machines if plan.seen is not None else {}
    ids = {machines[member.vm].machine_id for member in plan.members if member.vm in machines}
    return {member.vm for member in plan.members} | (ids - {""})


def _wave_of(row: Assessed, waves: Waves, number: int, existing: Iterable[str]) -> str:
    if waves.tag:
        tags = row.pinned.tags if row.pinned is not None else ()
        return next((tag for tag in tags if fnmatchcase(tag, waves.tag)), "rest")
    if waves.size:
        taken = len(list(existing))
        return str(taken + number // waves.size + 1)
    return ""


def _natural(name: str) -> tuple[Any, ...]:
    """web2 before web10."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name))
