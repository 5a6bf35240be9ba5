"""A plan as a rehearsal takes it: from the file alone."""

from datetime import datetime, timedelta

from pydantic import Field

from contracts.bandwidth import Bandwidth, parse_bandwidth
from contracts.base import Request
from contracts.durations import Duration
from contracts.errors import FerryError
from contracts.fleet import MigrateFleetRequest
from contracts.plan import Plan, rate_of
from contracts.sizes import Size
from fleets.rehearsal.given import Given, Holds, Rates
from starter.planning.checking import blocked
from starter.planning.measuring import Measured

TOGETHER = 4
"""Times the rate of one VM that all get together, where nothing is said: a worker copies four disks at once."""


class Asked(Request):
    """What a rehearsal is told beside the plan. Rates in bytes a second."""

    rate: Size | None = Field(default=None, ge=1, description="of one VM; default: as the plan says")
    together: Size | None = Field(default=None, ge=1, description="of all that are copied at once")
    changes: Size | None = Field(default=None, ge=0, description="that a guest writes anew")
    bandwidth: Bandwidth = Field(default="", description="a calendar of limits; default: the budget that was pinned")
    answer: Duration = Field(default=timedelta(0), description="how long people take to say yes")


def _budget_of(plan: Plan) -> str:
    """That of the plan's own link, else of its site; members that go elsewhere are taken to share it."""
    budgets = plan.seen.bandwidth if plan.seen is not None else {}
    site = plan.defaults.get("site")
    return budgets.get(f"link:{plan.source}/{plan.target}") or budgets.get(f"site:{site}", "")


def given_of(plan: Plan, starts: datetime, asked: Asked, measured: Measured | None = None) -> Given:
    """Of a plan that holds together. What was asked for wins over what was measured.

    Raises:
        FerryError: ``plan.not_looked``: nothing was seen of a VM.
    """
    seen = plan.seen.machines if plan.seen is not None else {}
    if missing := [member.vm for member in plan.members if member.vm not in seen]:
        raise FerryError("plan.not_looked", f"nothing was pinned of {missing[0]} ({len(missing)} in all)")
    alone = asked.rate or (measured.alone if measured is not None else rate_of(plan)[0])
    usual = Rates()
    beside = measured.beside if measured is not None else None
    rates = Rates(
        alone=alone,
        together=asked.together or TOGETHER * alone,
        limit=parse_bandwidth(asked.bandwidth or _budget_of(plan)),
        changes=usual.changes if asked.changes is None else asked.changes,
        beside=usual.beside if beside is None else beside,
    )
    # Not checked again: a plan may have more members than one fleet.
    request = MigrateFleetRequest.model_construct(
        fleet=plan.fleet, defaults={"source": plan.source, "target": plan.target, **plan.defaults}, waves=plan.waves,
        members=plan.members, at_once=plan.limits.at_once, failure_budget=plan.failure_budget,
    )  # fmt: skip
    holds = {
        member.vm: Holds(
            seen[member.vm].bytes,
            warm=seen[member.vm].warm and seen[member.vm].power == "on",
            on=seen[member.vm].power == "on",
            needs=plan.resources_of(member),
        )
        for member in plan.members
    }
    limits = plan.seen.limits if plan.seen is not None else {}
    fails = {vm: f"its preflight says {', '.join(codes)}" for vm, codes in blocked(plan).items()}
    return Given(request, holds, rates, starts, answer=asked.answer, fails=fails, limits=limits)
