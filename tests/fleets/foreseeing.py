"""A real fleet beside its rehearsal: rates from its first wave, and then when each wave would end, and did."""

from datetime import datetime
from statistics import median
from typing import Any

from contracts.fleet import MigrateFleetRequest
from fleets.rehearsal.calendar import Rehearsed
from fleets.rehearsal.given import MIB, Given, Holds, Rates
from fleets.rehearsal.loop import rehearse
from tests.fleets.inventory import HOSTS, Installation
from tests.fleets.playing import Played

LEAST = 1.0 * MIB
"""Bytes a second of one machine, where its first pass was no longer than an empty one."""


def foreseen(made: Installation, played: Played) -> Rehearsed:
    """With rates as the first wave had them, while as many were copied at once."""
    first = [vm for vm in made.waves["wave1"] if vm in made.good]
    reports = [played.reports[vm] for vm in first]
    beside = median(each.seconds for report in reports for each in report.pass_list[1:])
    alone = median(
        max(LEAST, report.pass_list[0].bytes_sent / max(1.0, report.pass_list[0].seconds - beside))
        for report in reports
    )
    changes = median(each.bytes_sent for report in reports for each in report.pass_list[1:]) / _interval(made)
    off = median(max(0.0, (report.downtime_s or 0.0) - report.pass_list[-1].seconds) for report in reports)
    at_once = made.request["at_once"]
    rates = Rates(
        alone=alone, together=at_once * alone, changes=changes, beside=beside,
        shutdown=off, start=0.0, preparing=median(_preparing(played, vm) for vm in first),
    )  # fmt: skip
    holds = {each["vm"]: _holds(made, played, each) for each in made.request["members"]}
    bad = {made.bad: "its preflight says so", made.stubborn: "its guest stays on"}
    request = MigrateFleetRequest.model_validate(made.request)
    return rehearse(Given(request, holds, rates, played.began, fails=bad, limits=made.limits))


def compared(made: Installation, played: Played) -> list[dict[str, Any]]:
    """A row of each wave, in seconds since the fleet began: when it was copied and ended, as foreseen and as it was."""
    told = foreseen(made, played)
    rows = []
    for name, members in made.waves.items():
        good = [vm for vm in members if vm in made.good]

        def since(moment: datetime | None) -> int:
            assert moment is not None
            return round((moment - played.began).total_seconds())

        rows.append({
            "wave": name,
            "ends_foreseen": since(max(told.through_at[vm] for vm in good)),
            "ends": since(max(played.rows[vm].ended for vm in good if played.rows[vm].ended is not None)),
        })  # fmt: skip
    return rows


def _interval(made: Installation) -> float:
    request = MigrateFleetRequest.model_validate(made.request)
    return request.request_of(request.members[0]).delta_interval.total_seconds()


def _preparing(played: Played, vm: str) -> float:
    row, first = played.rows[vm], played.reports[vm].pass_list[0]
    assert row.began is not None
    assert row.copied is not None
    return max(0.0, (row.copied - row.began).total_seconds() - first.seconds)


def _holds(made: Installation, played: Played, member: dict[str, Any]) -> Holds:
    vm = member["vm"]
    size = played.reports[vm].pass_list[0].bytes_sent if vm in played.reports else 0
    host = HOSTS[int(vm.removeprefix("vm")) % len(HOSTS)]
    return Holds(size, needs=(f"sr:lab/{member['request']['sr']}", f"host:vsphere/{host}"))
