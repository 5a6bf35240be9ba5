"""The power-off ladder: who is asked, for how long, and what is done when nobody answers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities import powering_off
from activities.powering_off import Ladder, PoweringOff
from activities.systems import Systems
from contracts.errors import FerryError
from contracts.machine import OwnerMark, Power
from contracts.steps import Asked, Errand, PowerOffOrder, SourceOrder
from disks.folder_store import FolderStore

ERRAND = Errand(migration="m", workflow="w", source="vc", target="pool", vm="web01", machine_id="5000")
SHORT = timedelta(seconds=0.2)


class Guest:
    """``looks``: so many looks at its power after it was asked (or switched off) until it is off."""

    def __init__(self, *, looks: int = 10**9, hard_looks: int = 0, tools: bool = True, power: Power = Power.ON) -> None:
        self.now, self.looks, self.hard_looks, self.tools = power, looks, hard_looks, tools
        self.done: list[str] = []
        self.left: int | None = None

    def power(self, machine_id: str) -> Power:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.now = Power.OFF
        return self.now

    def shut_down_guest(self, machine_id: str, mark: OwnerMark) -> None:
        if not self.tools:
            raise FerryError("preflight.tools_not_running", "no tools")
        self.done.append("asked")
        self.left = self.looks

    def power_off(self, machine_id: str, mark: OwnerMark) -> None:
        self.done.append("hard")
        self.left = self.hard_looks


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(powering_off, "POLL", 0.01)


def climb(guest: Any, policy: str, *, asked: Asked | None = None, patience: timedelta = SHORT) -> str:
    order = PowerOffOrder(errand=ERRAND, policy=policy, patience=patience, deadline=SHORT)
    return Ladder(guest, order, asked or Asked()).climb().how


@pytest.mark.parametrize("policy", ["guest-then-ask", "guest-then-hard"])
def test_a_guest_that_shuts_down_in_time_is_not_switched_off(policy):
    guest = Guest(looks=3)
    assert climb(guest, policy) == "guest"
    assert guest.done == ["asked"]


def test_a_guest_that_does_not_shut_down_is_switched_off_only_where_the_policy_says_so():
    asks, hard = Guest(), Guest(hard_looks=2)
    with pytest.raises(FerryError) as refused:
        climb(asks, "guest-then-ask")
    assert (refused.value.code, asks.done) == ("source.shutdown_timeout", ["asked"])
    assert climb(hard, "guest-then-hard") == "hard"
    assert hard.done == ["asked", "hard"]


def test_a_guest_without_tools_is_not_waited_for():
    began = datetime.now(UTC)
    guest = Guest(tools=False)
    assert climb(guest, "guest-then-hard", patience=timedelta(minutes=30)) == "hard"
    with pytest.raises(FerryError, match="Tools"):
        climb(Guest(tools=False), "guest-then-ask", patience=timedelta(minutes=30))
    assert datetime.now(UTC) - began < timedelta(seconds=5)


def test_a_hard_power_off_is_believed_only_when_it_is_seen():
    with pytest.raises(FerryError) as refused:
        climb(Guest(hard_looks=10**9), "hard")
    assert refused.value.code == "source.power_off_timeout"


def test_a_second_attempt_waits_for_the_rest_only_and_does_not_ask_again():
    guest = Guest()
    asked = Asked(at=datetime.now(UTC) - timedelta(minutes=30))
    with pytest.raises(FerryError, match="did not shut down"):
        climb(guest, "guest-then-ask", asked=asked, patience=timedelta(minutes=10))
    assert guest.done == []


def test_what_is_off_is_left_alone():
    guest = Guest(power=Power.OFF)
    assert climb(guest, "hard") == "already"
    assert guest.done == []


@pytest.mark.parametrize("went_off", [True, False])
async def test_who_shuts_it_down_and_says_retry_at_once_is_not_told_that_it_runs(went_off, tmp_path):
    guest, environment = Guest(), ActivityEnvironment()
    steps = PoweringOff(Systems({"vc": guest}, {}, FolderStore(tmp_path)))
    watching = asyncio.create_task(environment.run(steps.source_goes_off, SourceOrder(errand=ERRAND)))
    await asyncio.sleep(0.3)  # it has looked, and looks again in five seconds

    if went_off:
        guest.now = Power.OFF
    environment.cancel()

    assert await asyncio.wait_for(watching, 3) is went_off
