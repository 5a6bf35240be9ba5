"""A fleet from a Python program: each method of the SDK against a fleet that runs on a real Temporal server."""

from collections.abc import Awaitable
from typing import Any

import pytest

from contracts.errors import ExitCode, FerryError
from contracts.fleet import FleetAck, FleetReport
from starter.sdk import Ferry
from tests.workflows.test_fleet import Fleet, fleet, some, soon

__all__ = ["fleet", "soon"]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starter.sdk.LOOK_EVERY", 0.1)


async def refused(asked: Awaitable[Any]) -> tuple[str, str]:
    """With which code, and its words."""
    with pytest.raises(FerryError) as told:
        await asked
    return told.value.code, told.value.message


async def test_each_method_of_a_fleet_does_what_it_says(fleet: Fleet) -> None:
    fleet.steps.bad = {"bad"}
    ferry, name = Ferry(fleet.client), fleet.source
    asked: dict[str, Any] = {
        "fleet": name,
        "defaults": {"source": name, "target": "pool", "delta_interval": "1h"},
        "members": some("a", "b", "bad"),
    }
    spring = await ferry.start_fleet(**asked)
    fleet.handle = fleet.client.get_workflow_handle(f"fleet/{name}", result_type=FleetReport)
    assert spring.fleet == name
    assert (await ferry.start_fleet(**asked)).fleet == name  # asked for twice it is begun once
    assert (await refused(ferry.start_fleet(**asked, at_once=3)))[0] == "fleet.already_running"

    seen = await spring.until_human()
    assert (seen.exit_code, seen.status.asks) == (ExitCode.WAITING, ("a", "b"))
    seen = await ferry.fleet(f"fleet/{name}").look()
    assert {row.vm: (row.standing, row.code) for row in seen.members} == {
        "a": ("running", ""), "b": ("running", ""), "bad": ("failed", "vm.unknown")
    }  # fmt: skip

    assert await spring.say("pause", who="ann") == FleetAck()
    assert (await spring.look()).status.paused_by == "ann"
    assert await spring.say("resume", who="ann") == FleetAck()
    assert not (await spring.look()).status.paused

    await fleet.until(lambda now: now.waves[0].phases == {"awaiting-approval": 2})
    assert await spring.say("skip", who="ann", vms=["a", "bad"]) == FleetAck(
        taken=("bad",), passed_over={"a": "in awaiting-approval"}
    )
    fleet.steps.bad = set()
    assert await spring.say("retry", who="ann", vms=["bad"]) == FleetAck(taken=("bad",))
    await fleet.until(lambda now: len(now.asks) == 3)
    assert [row.tries for row in (await spring.look()).members] == [1, 1, 2]

    assert await spring.add({"vm": "late", "after": ["a"]}, {"vm": "never"}, who="ann") == FleetAck(
        taken=("late", "never")
    )
    assert (await spring.say("cancel", who="ann", vms=["never"])).taken == ("never",)
    await fleet.until(lambda now: now.standing == {"running": 4, "cancelled": 1} and len(now.asks) == 4)

    fleet.steps.hold_power_off = True
    ack = await spring.say("approve", who="ann", note="CHG-17", waves=["1"])
    assert (set(ack.taken), ack.passed_over) == ({"a", "b", "bad", "late"}, {"never": "cancelled"})
    await fleet.until(lambda _: "a" in fleet.steps.off)
    rows = {row.vm: row for row in (await spring.look()).members}
    assert (rows["a"].approved_by, rows["late"].waits_for) == ("ann", "a, which is running")

    await spring.cancel()
    fleet.steps.hold_power_off = False
    report = await spring.report()
    assert (report.outcome, report.standing) == ("cancelled", {"cancelled": 5})
    assert await spring.report() == report
    assert ((await spring.look()).exit_code, (await spring.until_human()).status.over) == (ExitCode.ERROR, True)
    assert (await refused(spring.say("resume", who="ann")))[0] == "message.wrong_phase"
    assert (await refused(spring.cancel()))[0] == "message.wrong_phase"


async def test_what_is_wrong_is_refused_with_a_code(fleet: Fleet) -> None:
    await fleet.start(*some("a"))
    ferry = Ferry(fleet.client)
    running, nobody = ferry.fleet(fleet.source), ferry.fleet("nobody")
    invalid: list[tuple[Awaitable[Any], str]] = [
        (running.say("aprove", who="ann", everyone=True), "'aprove' is none of approve"),  # type: ignore[arg-type]
        (running.say("approve", who="ann"), "name waves or VMs"),
        (running.say("approve", who="ann", waves=["9"]), "there is no wave '9'"),
        (running.say("retry", who="", everyone=True), "who"),
        (running.say("retry", who="ann", vm=["a"]), "vm"),
        (running.add({"vm": "a"}, who="ann"), "a is in it twice"),
        (running.add({"wave": "1"}, who="ann"), "vm"),
        (ferry.start_fleet(fleet="x", members=[{"vm": "a", "wave": "9"}]), "there is no wave '9'"),
    ]
    for asked, words in invalid:
        code, told = await refused(asked)
        assert (code, words in told) == ("request.invalid", True), told
    assert (await refused(nobody.look()))[0] == "workflow.unknown"
    assert (await refused(nobody.report()))[0] == "workflow.unknown"
    assert (await refused(nobody.say("pause", who="ann")))[0] == "message.wrong_phase"
    assert (await refused(nobody.cancel()))[0] == "message.wrong_phase"
    with pytest.raises(FerryError, match="no name of a fleet"):
        ferry.fleet("a' OR 'b")
    await fleet.handle.terminate("by a person")
    _, told = await refused(running.report())
    assert "it was terminated" in told
