"""What comes to a fleet out of turn: an end that overtakes a letter, and the close of a run that was begun anew."""

import asyncio
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from contracts.fleet import MemberState, MigrateFleetInput, Standing
from workflows.fleet_messages import Letter
from workflows.migrate_fleet import MigrateFleet

REQUEST = {"fleet": "f", "defaults": {"source": "vc", "target": "pool"}, "members": [{"vm": "a"}]}


def fleet_with(state: MemberState, monkeypatch: pytest.MonkeyPatch) -> MigrateFleet:
    """Outside of Temporal: nothing is ordered here."""
    monkeypatch.setattr("workflows.migrate_fleet.workflow.now", lambda: None)
    fleet = MigrateFleet(MigrateFleetInput.model_validate(REQUEST))
    fleet.member("a", **dict(state))
    return fleet


@pytest.mark.parametrize(
    ("meanwhile", "standing", "failures"),
    [
        ({}, Standing.FAILED, 1),
        ({"standing": Standing.DONE}, Standing.DONE, 0),
        ({"tries": 2}, Standing.RUNNING, 0),
    ],
)
async def test_a_letter_that_finds_nobody_fails_the_member_unless_it_told_its_end_meanwhile(
    meanwhile: dict[str, Any], standing: Standing, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = fleet_with(MemberState(standing=Standing.RUNNING, tries=1), monkeypatch)

    class Nobody:
        async def signal(self, *_: object) -> None:
            fleet.member("a", **meanwhile)
            raise ApplicationError("not found")

    monkeypatch.setattr("workflows.migrate_fleet.workflow.get_external_workflow_handle", lambda _: Nobody())
    fleet.letters = [Letter("a", "pause_migration")]
    await fleet._send_letters()

    assert (fleet.state.members["a"].standing, fleet.state.failures) == (standing, failures)


@pytest.mark.parametrize(("tries", "standing"), [(1, Standing.FAILED), (2, Standing.RUNNING)])
async def test_a_run_that_closes_after_its_member_was_begun_anew_fails_nobody(
    tries: int, standing: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = fleet_with(MemberState(standing=Standing.RUNNING, tries=tries), monkeypatch)
    terminated = asyncio.get_running_loop().create_future()
    terminated.set_exception(ApplicationError("terminated"))

    fleet._closed("a", "run", 1, terminated)

    assert fleet.state.members["a"].standing is standing
