"""What a fleet tells people who are not looking, and how it finds out about members that can tell nothing."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from contracts.errors import FerryError
from contracts.notices import Event
from tests.workflows.test_fleet import Fleet, fleet, some

__all__ = ["fleet"]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.timing.GATHER_NOTICES", timedelta(seconds=1))
    monkeypatch.setattr("workflows.timing.LAST_NOTICE", timedelta(seconds=3))


def told(fleet: Fleet, event: Event) -> list[Any]:
    return [each for each in fleet.steps.notices if each.event is event]


async def test_people_hear_of_a_yes_that_is_wanted_of_a_pause_and_of_the_end(fleet: Fleet) -> None:
    fleet.steps.bad = {"bad"}
    await fleet.start(*some("a", "b", "bad", wave="pilot"), waves=[{"name": "pilot"}], failure_budget=0)
    await fleet.until(lambda seen: seen.paused and len(seen.asks) == 2)
    await fleet.until(lambda _: sum(each.count for each in told(fleet, Event.APPROVAL)) == 2)
    [paused] = told(fleet, Event.FLEET_PAUSED)
    assert paused.command == f"ferry fleet resume {fleet.source}"
    asked = told(fleet, Event.APPROVAL)
    assert f"ferry fleet approve {fleet.source} --wave 'pilot'" in asked[-1].text
    await fleet.say("resume")
    await fleet.say("approve", everyone=True)

    assert (await fleet.report()).outcome == "partial"

    [ended] = told(fleet, Event.FLEET_ENDED)
    assert ended.text.startswith(f"fleet {fleet.source}: ended partial: 2 done, 1 failed")
    keys = [each.key for each in fleet.steps.notices]
    assert len(set(keys)) == len(keys)


async def test_a_webhook_that_fails_holds_nobody_up(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(notices: Any) -> None:
        asked.append(notices)
        raise FerryError("notify.unreachable", "chat.example: ConnectError")

    monkeypatch.setattr(fleet.steps, "notices", type("Deaf", (), {"extend": staticmethod(refuse)})())
    await fleet.start(*some("a"))
    await fleet.until(lambda seen: seen.asks == ("a",))
    await fleet.say("approve", everyone=True)

    assert (await fleet.report()).outcome == "done"
    assert asked


async def test_a_member_that_is_terminated_is_noticed_in_a_later_run(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.timing.EVENTS_PER_RUN", 30)
    monkeypatch.setattr("workflows.timing.WATCH_MEMBERS", timedelta(seconds=3))
    await fleet.start(*some("a", "b", "c"))
    status = await fleet.until(lambda seen: len(seen.asks) == 3)
    assert status.runs > 1
    member = fleet.client.get_workflow_handle(f"migrate/{fleet.source}/b")
    await member.terminate("by a person")

    status = await fleet.until(lambda seen: seen.failed == {"b": "workflow.gone"})
    assert len(status.asks) == 2
    assert (await member.describe()).status is WorkflowExecutionStatus.TERMINATED
