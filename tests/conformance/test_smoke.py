"""The smoke test on a pool: a VM that lives, one that does not, one whose guest says nothing."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

import activities.smoke
from activities.smoke import SmokeActivities
from activities.systems import Systems
from contracts.after import SmokeOrder, SmokeReport
from contracts.errors import FerryError
from contracts.machine import Power
from contracts.steps import Shell
from disks.folder_store import FolderStore
from platforms.xapi.target import XapiTarget
from platforms.xapi.vitals import addresses
from simulators.xapi.server import XapiSimulator
from tests.conformance.xapi_target import errand, made_shell, pool_and_target

MARK = errand().mark()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities.smoke, "LOOK_EVERY", 0.1)


def started(target: XapiTarget) -> Shell:
    shell = made_shell(target)
    target.unblock(shell.vm, MARK)
    target.start(shell.vm, MARK)
    return shell


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[XapiSimulator, XapiTarget]]:
    with pool_and_target(tmp_path, speed=10, guest_address="127.0.0.1") as pool:
        yield pool


@pytest.fixture
def open_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def smoke_test_of(target: XapiTarget, vm: str, tmp_path: Path, **more: object) -> SmokeReport:
    steps = SmokeActivities(Systems({}, {"pool": target}, FolderStore(tmp_path / "store")))
    order = SmokeOrder.model_validate({"errand": errand(), "vm": vm, "within": timedelta(seconds=3), **more})
    report: SmokeReport = await ActivityEnvironment().run(steps.smoke_target, order)
    return report


async def test_a_guest_that_boots_is_waited_for_and_its_port_found_open(both, tmp_path, open_port):
    _, target = both
    shell = started(target)

    report = await smoke_test_of(target, shell.vm, tmp_path, ports=(open_port,), guest_tools=True)

    assert report.missing == ()
    assert report.open_ports == (f"127.0.0.1:{open_port}",)
    assert report.vitals.addresses == ("127.0.0.1",), "each once, and no link-local one"
    assert report.vitals.booted_at is not None


async def test_a_port_that_is_shut_is_missing_when_the_time_is_over(both, tmp_path, open_port):
    _, target = both
    with socket.create_server(("127.0.0.1", 0)) as gone:
        shut = gone.getsockname()[1]
    shell = started(target)

    report = await smoke_test_of(target, shell.vm, tmp_path, ports=(open_port, shut))

    assert report.missing == (f"port {shut} is not open at 127.0.0.1",)


async def test_a_vm_that_does_not_run_is_not_waited_for(both, tmp_path):
    _, target = both
    shell = started(target)
    target.stop(shell.vm)

    report = await asyncio.wait_for(smoke_test_of(target, shell.vm, tmp_path, within=timedelta(hours=1)), 5)

    assert report.missing == ("the VM does not run: it is off",)


async def test_a_guest_without_tools_runs_but_tells_nothing(tmp_path, open_port):
    with pool_and_target(tmp_path, speed=10, guest_tools=False) as (_, target):
        shell = started(target)

        report = await smoke_test_of(target, shell.vm, tmp_path, guest_tools=True, within=timedelta(seconds=0.5))
        assert report.missing == ("the guest's tools tell nothing",)
        no_address = await smoke_test_of(target, shell.vm, tmp_path, ports=(open_port,), within=timedelta(seconds=0.5))
        assert "no address is known" in no_address.missing[0]
        named = await smoke_test_of(target, shell.vm, tmp_path, ports=(open_port,), address="127.0.0.1")
        assert named.passed
        with pytest.raises(FerryError) as refused:
            target.reboot(shell.vm, MARK, None)
        assert refused.value.code == "smoke.no_reboot"


async def test_a_test_that_is_called_off_ends_at_once(both, tmp_path):
    _, target = both
    shell = started(target)
    steps = SmokeActivities(Systems({}, {"pool": target}, FolderStore(tmp_path / "store")))
    order = SmokeOrder(errand=errand(), vm=shell.vm, ports=(1,), within=timedelta(hours=1))
    environment = ActivityEnvironment()
    testing = asyncio.ensure_future(environment.run(steps.smoke_target, order))
    await asyncio.sleep(0.3)

    environment.cancel()

    assert (await asyncio.wait_for(testing, 8)).missing


async def test_what_the_guest_told_before_its_reboot_is_no_sign_of_life_after_it(both, tmp_path):
    simulator, target = both
    shell = started(target)
    first = await smoke_test_of(target, shell.vm, tmp_path, guest_tools=True)

    simulator.pool.inventory.guest_tools = False  # after the reboot they come up no more
    await asyncio.sleep(1.1)  # the pool tells whole seconds: what was told in that of the reboot could be from after it
    target.reboot(shell.vm, MARK, first.vitals.booted_at)

    report = await smoke_test_of(
        target, shell.vm, tmp_path, guest_tools=True, booted_since=first.vitals.booted_at, within=timedelta(seconds=1)
    )
    assert report.vitals.power is Power.ON
    assert report.missing == ("the guest's tools tell nothing",)


async def test_a_reboot_is_made_once_however_often_it_is_ordered(both, tmp_path):
    simulator, target = both
    shell = started(target)
    first = await smoke_test_of(target, shell.vm, tmp_path, guest_tools=True)
    early = await smoke_test_of(
        target, shell.vm, tmp_path, booted_since=first.vitals.booted_at, within=timedelta(seconds=0.3)
    )
    assert early.missing == ("it was not rebooted yet",)

    for _ in range(2):
        target.reboot(shell.vm, MARK, first.vitals.booted_at)

    assert simulator.pool.stats.calls["VM.clean_reboot"] == 1
    assert (await smoke_test_of(target, shell.vm, tmp_path, booted_since=first.vitals.booted_at)).passed


def test_a_reboot_that_a_rollback_overtook_is_refused(both, tmp_path):
    _, target = both
    shell = started(target)
    target.raise_epoch(shell.vm, errand().mark(3))

    with pytest.raises(FerryError) as refused:
        target.reboot(shell.vm, errand().mark(2), None)

    assert refused.value.code == "source.stale_epoch"


def test_addresses_that_nobody_else_can_reach_are_left_out():
    assert addresses(["10.0.0.2", "10.0.0.2", "fe80::1", "169.254.1.1", "no address", "2001:db8::1"]) == (
        "10.0.0.2",
        "2001:db8::1",
    )
