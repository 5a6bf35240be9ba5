"""The status of a fleet as people read it, with names as they are in the field, on a terminal of 100 columns."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.console import Console

from contracts.fleet import FleetState, MemberState, MemberTold, MigrateFleetRequest, Standing
from contracts.names import Phase
from fleets.ordering import Fleet
from fleets.pace import pace_of
from fleets.rows import members_of
from fleets.telling import status_of
from starter.fleets import SeenFleet
from starter.views.fitting import Fitted
from starter.views.fleet_status import fleet_status_view

NOW = datetime(2026, 11, 28, 1, tzinfo=UTC)
DB, QUEUE, WEB = "prod-database-server-01", "prod-database-server-02", "web-frontend-cluster-a-01"


def seen() -> SeenFleet:
    """One parked, one failed, one that asks."""

    def running(phase: Phase, **more: Any) -> MemberState:
        told = MemberTold(workflow="w", phase=phase, ticket="t", **more)
        return MemberState(standing=Standing.RUNNING, told=told, began=NOW, copied=NOW)

    request = MigrateFleetRequest.model_validate(
        {
            "fleet": "spring-2026-frankfurt",
            "defaults": {"source": "vcenter-frankfurt", "target": "pool"},
            "waves": [{"name": "pilot systems of the accounting department"}, {"name": "2"}],
            "members": [{"vm": DB}, {"vm": QUEUE}, {"vm": WEB, "after": [DB], "wave": "2"}],
        }
    )
    slow = "the guest did not shut down within 10 minutes; switch it off by hand, then retry"
    lacks = "VirtualMachine.State.CreateSnapshot is missing on the datacenter DC1"
    members = {
        DB: running(Phase.CUTOVER, needs_human="source.shutdown_timeout", message=slow),
        QUEUE: MemberState(standing=Standing.FAILED, code="preflight.privilege_missing", message=lacks),
        WEB: running(Phase.AWAITING_APPROVAL),
    }
    fleet = Fleet(request, members)
    rows = members_of(fleet).members
    status = status_of(fleet, FleetState(members=members), over=False)
    return SeenFleet(status, rows, pace_of(rows, at_once=10, now=NOW))


def drawn(view: Any, columns: int, rows: int = 50) -> list[str]:
    console = Console(file=StringIO(), width=columns, height=rows, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(view)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_commands_and_codes_are_never_cut() -> None:
    for columns in (80, 100):
        lines = drawn(fleet_status_view(seen()), columns)
        for command in (
            f"ferry retry migrate/vcenter-frankfurt/{DB}",
            f"ferry fleet retry spring-2026-frankfurt --vm {QUEUE}",
            "ferry fleet approve spring-2026-frankfurt --wave 2",
        ):
            assert f"    {command}" in lines
        for vm, code in ((DB, "source.shutdown_timeout"), (QUEUE, "preflight.privilege_missing")):
            [line] = [each for each in lines if each.startswith(f"{vm}   {code}   ")]
            assert len(line) <= columns


def test_of_a_wave_with_a_long_name_the_phases_are_told_in_whole_words() -> None:
    lines = drawn(fleet_status_view(seen()), 100)
    heads = next(line.split() for line in lines if line.startswith("wave"))
    assert heads == ["wave", "VMs", "waiting", "running", "done", "not", "done", "yes?", "human?"]
    [second] = [line.split() for line in lines if line.startswith("2 ")]
    assert second == ["2", "1", "0", "1", "awaiting-approval", "0", "1"]


def test_a_view_that_is_too_high_says_how_much_is_missing_and_one_that_fits_is_whole() -> None:
    whole = drawn(fleet_status_view(seen()), 100)
    for rows in (len(whole), len(whole) + 1):
        assert drawn(Fitted(fleet_status_view(seen()), "ferry x"), 100, rows) == whole
    rows = len(whole) - 1
    assert drawn(Fitted(fleet_status_view(seen()), "ferry x"), 100, rows) == [
        *whole[: rows - 1], "… 2 lines more: `ferry x` shows all"
    ]  # fmt: skip
