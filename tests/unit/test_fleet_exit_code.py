"""How `ferry status fleet/NAME` ends: whether anything goes on without a human."""

from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.fleet import FleetState, MemberState, MemberTold, MigrateFleetRequest, Standing, Yes
from contracts.names import Phase
from fleets.ordering import Fleet
from fleets.pace import Pace
from fleets.rows import members_of
from fleets.telling import status_of
from starter.fleets import SeenFleet

NOW = datetime(2026, 12, 7, 8, tzinfo=UTC)
YES = Yes(who="ann", ticket="t", at=NOW)


def at(phase: Phase, **more: Any) -> MemberState:
    told = MemberTold(workflow="w", phase=phase, ticket="t", needs_human=more.pop("needs_human", ""))
    return MemberState(standing=Standing.RUNNING, told=told, copied=NOW, **more)


WAITS = at(Phase.AWAITING_APPROVAL, yes=YES)
SENT = at(Phase.AWAITING_APPROVAL, yes=YES.model_copy(update={"sent": True}))


@pytest.mark.parametrize(
    ("db", "app", "code"),
    [
        (MemberState(standing=Standing.FAILED), WAITS, 5),
        (at(Phase.AWAITING_APPROVAL), WAITS, 5),
        (at(Phase.DELTA_SYNC, needs_human="source.shutdown_timeout"), WAITS, 5),
        (at(Phase.CUTOVER), WAITS, 8),
        (SENT, WAITS, 8),
        (MemberState(standing=Standing.DONE), WAITS, 8),
        (MemberState(standing=Standing.WAITING), WAITS, 8),
        (MemberState(standing=Standing.DONE), at(Phase.PROBATION), 8),
    ],
)
def test_five_is_where_nothing_goes_on_without_a_human_and_eight_where_something_does(
    db: MemberState, app: MemberState, code: int
) -> None:
    said = {"fleet": "f", "defaults": {"source": "vc", "target": "pool"},
            "members": [{"vm": "db"}, {"vm": "app", "after": ["db"]}]}  # fmt: skip
    fleet = Fleet(MigrateFleetRequest.model_validate(said), {"db": db, "app": app})
    seen = SeenFleet(status_of(fleet, FleetState(), over=False), members_of(fleet).members, Pace())
    assert seen.exit_code == code
