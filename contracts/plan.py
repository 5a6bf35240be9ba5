"""A plan: a fleet as people write it down and keep it in Git, with what was seen when it was made."""

import json
from typing import Any, Literal

from pydantic import Field

from contracts.base import Request
from contracts.capacity import resources_of
from contracts.errors import FerryError
from contracts.fleet import MOST_ASKED, MOST_AT_ONCE, MOST_MEMBERS, Member, MigrateFleetRequest, Wave
from contracts.plan_seen import PinnedSr, PinnedTarget, PlanSeen
from contracts.sizes import Size, spoken_size

VERSION: Literal[1] = 1
MOST_PLANNED = 50_000
"""Members of a plan: more than the largest vCenter has. To apply one, a fleet's bound holds."""
ASSUMED_RATE = 100 << 20
"""Bytes a second of one VM, where the plan says nothing: a gigabit that is shared with little else."""


class Limits(Request):
    """How much at a time."""

    at_once: int = Field(
        default=10, ge=1, le=MOST_AT_ONCE, description="so many are copied for the first time, and as many cut over"
    )
    overcommit: float = Field(
        default=1.0,
        ge=1,
        le=100,
        description="disks that a thin SR may be promised, in times its free room; a thick one is never",
    )


class Plan(Request):
    """Who moves where, in which order, by whose yes."""

    version: Literal[1] = Field(description="of this format")
    fleet: str = Field(
        min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="its workflow is fleet/NAME"
    )
    source: str = Field(min_length=1, description="name of [sources.NAME] in the worker's ferry.toml")
    target: str = Field(min_length=1, description="name of [targets.NAME]")
    rate: Size | None = Field(
        default=None, ge=1, description="bytes a second that one VM is copied with, for the times that are told"
    )
    limits: Limits = Limits()
    failure_budget: int | None = Field(
        default=None, ge=0, description="so many may fail; with one more the fleet pauses. Default: any number"
    )
    defaults: dict[str, Any] = Field(default={}, description="fields of the request of one migration, for all members")
    waves: tuple[Wave, ...] = Field(default=(Wave(name="1"),), min_length=1, max_length=1000)
    members: tuple[Member, ...] = Field(max_length=MOST_PLANNED)
    seen: PlanSeen | None = Field(default=None, description="what `ferry plan` saw: written by it, never by hand")

    def said_of(self, member: Member) -> dict[str, Any]:
        """The request of its migration, but for what the fleet adds."""
        base = {"source": self.source, "target": self.target}
        return {**base, **self.defaults, **member.request, "vm": member.vm}

    def wave_of(self, member: Member) -> Wave:
        """The first, where it names none."""
        return next((wave for wave in self.waves if wave.name == member.wave), self.waves[0])

    def sr_of(self, member: Member) -> str:
        """As the plan calls it; empty: the target's default."""
        return str(self.said_of(member).get("sr") or "")

    def resources_of(self, member: Member) -> tuple[str, ...]:
        """What it uses of ``[capacity]``, as far as it was seen."""
        pinned = self.seen.machines.get(member.vm) if self.seen is not None else None
        if self.seen is None or pinned is None:
            return ()
        said = self.said_of(member)
        target = self.seen.targets.get(str(said["target"]), PinnedTarget())
        sr = target.srs.get(self.sr_of(member), PinnedSr()).name
        source, site = pinned.source or str(said["source"]), str(said.get("site") or "")
        return resources_of(source, str(said["target"]), sr, pinned.host, pinned.datastores, site)

    def networks_of(self, member: Member) -> dict[str, str]:
        """Source network to target network: its own, the plan's, those of ferry.toml as far as they were seen."""
        said = self.said_of(member)
        pinned = self.seen.targets.get(str(said["target"])) if self.seen is not None else None
        return {**(pinned.configured if pinned is not None else {}), **(said.get("networks") or {})}


def rate_of(plan: Plan) -> tuple[int, str]:
    """Bytes a second of one VM, and where that is from."""
    if plan.rate is not None:
        return plan.rate, f"{spoken_size(plan.rate)}/s a VM, as the plan says"
    return ASSUMED_RATE, f"{spoken_size(ASSUMED_RATE)}/s a VM, assumed: put what you measured into `rate`"


def fleet_request_of(plan: Plan) -> MigrateFleetRequest:
    """What ``MigrateFleet`` is begun with.

    Raises:
        FerryError: ``plan.too_large`` where a fleet cannot have so many members, or carry so long a request.
    """
    if len(plan.members) > MOST_MEMBERS:
        raise FerryError(
            "plan.too_large", f"the plan has {len(plan.members)} members, and a fleet at most {MOST_MEMBERS}"
        )
    said: dict[str, Any] = {
        "fleet": plan.fleet,
        "defaults": {"source": plan.source, "target": plan.target, **plan.defaults},
        "waves": [wave.model_dump(mode="json", exclude_unset=True) for wave in plan.waves],
        "members": [member.model_dump(mode="json", exclude_unset=True) for member in plan.members],
        "at_once": plan.limits.at_once,
    }
    if plan.failure_budget is not None:
        said["failure_budget"] = plan.failure_budget
    if (size := len(json.dumps(said))) > MOST_ASKED:
        raise FerryError(
            "plan.too_large", f"its request is {size >> 10} KiB long, and that of a fleet at most {MOST_ASKED >> 10}"
        )
    return MigrateFleetRequest.model_validate(said)
