"""A test VM on the pool: it boots what was copied, meets nobody, and leaves nothing (SAFETY 15, 22)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import FerryError
from contracts.machine import Power
from contracts.steps import Shell
from contracts.test_boot import TestOrder
from platforms.xapi.target import XapiTarget
from platforms.xapi.test_boot import TEST_KEY
from simulators.faults import FaultRule
from simulators.xapi.server import XapiSimulator
from tests.conformance.xapi_lab import logged_in
from tests.conformance.xapi_target import MIB, errand, file_of, made_shell, noise, pool_and_target, send


class OneTest:
    def __init__(self, simulator: XapiSimulator, target: XapiTarget, shell: Shell) -> None:
        self.simulator, self.target, self.shell = simulator, target, shell
        self.db = simulator.db

    def order(self, number: int = 1) -> TestOrder:
        return TestOrder(errand=errand(), shell=self.shell, name="web01 (ferry test)", number=number)

    def vm(self) -> dict[str, Any]:
        [ref] = self.db.by_name("VM", "web01 (ferry test)")
        return self.db.get("VM", ref)

    def disks(self) -> list[str]:
        """uuids, by device."""
        vbds = sorted((self.db.get("VBD", each) for each in self.vm()["VBDs"]), key=lambda each: each["userdevice"])
        return [self.db.get("VDI", each["VDI"])["uuid"] for each in vbds]

    def census(self) -> dict[str, int]:
        return {kind: len(self.db.all(kind)) for kind in ("VM", "VDI", "VBD", "VIF", "network")}

    def traces(self) -> list[str]:
        """What bears the mark of a test."""
        return [
            f"{kind} {record['name_label']}"
            for kind in ("VM", "VDI", "network")
            for record in self.db.all(kind).values()
            if TEST_KEY in record["other_config"]
        ]


@pytest.fixture
def test(tmp_path: Path) -> Iterator[OneTest]:
    with pool_and_target(tmp_path, speed=10) as (simulator, target):
        shell = made_shell(target)
        send(target, shell, 0, {0: noise(1, MIB), 5 * MIB: noise(2, MIB)})
        yield OneTest(simulator, target, shell)


def test_it_boots_clones_of_all_disks_in_the_order_of_the_shell(test):
    made = test.target.make_test(test.order())
    test.target.start_test(test.order())

    vm = test.vm()
    assert (vm["uuid"], vm["power_state"]) == (made.vm, "Running")
    assert vm["HVM_boot_params"]["firmware"] == "uefi"
    for clone, disk in zip(test.disks(), test.shell.disks, strict=True):
        assert clone != disk.vdi
        assert file_of(test.simulator, clone) == file_of(test.simulator, disk.vdi)
    assert test.target.power(test.shell.vm) is Power.OFF
    assert test.target.vitals(made.vm).power is Power.ON


def test_it_meets_nobody_though_it_keeps_its_addresses(test):
    made = test.target.make_test(test.order())

    network = test.db.get("network", test.db.by_uuid("network", made.network))
    assert network["PIFs"] == []
    vifs = [test.db.get("VIF", each) for each in test.vm()["VIFs"]]
    assert sorted(vif["MAC"] for vif in vifs) == ["00:50:56:aa:00:01", "02:00:00:00:00:07"]
    assert {test.db.get("network", vif["network"])["uuid"] for vif in vifs} == {made.network}


def test_a_card_that_somebody_moved_to_a_real_network_keeps_it_from_starting(test):
    test.target.make_test(test.order())
    [lan] = test.db.by_name("network", "lan")
    test.db.get("VIF", test.vm()["VIFs"][0])["network"] = lan

    with pytest.raises(FerryError, match="uplink") as refused:
        test.target.start_test(test.order())

    assert refused.value.code == "xapi.shell_broken"
    assert test.vm()["power_state"] == "Halted"


def test_it_leaves_nothing_whether_it_runs_or_not(test):
    before, held = test.census(), [file_of(test.simulator, disk.vdi) for disk in test.shell.disks]
    for number, runs in ((1, True), (2, False)):
        test.target.make_test(test.order(number))
        if runs:
            test.target.start_test(test.order(number))
        for _ in range(2):
            test.target.drop_test(test.order(number))

        assert test.census() == before
        assert test.traces() == []
    assert [file_of(test.simulator, disk.vdi) for disk in test.shell.disks] == held
    assert test.db.all("host_metrics")[test.db.get("host", test.simulator.pool.hosts[0])["metrics"]]["memory_free"] == (
        256 << 30
    )


MADE_BY = ["network.create", "VM.create", "VDI.clone", "VBD.create", "VIF.create"]


@pytest.mark.parametrize("call", MADE_BY)
@pytest.mark.parametrize("answer", ["refused", "lost"])
def test_what_an_attempt_made_that_broke_off_is_found_again_and_made_once(test, call, answer):
    action, argument = ("drop", None) if answer == "lost" else ("error", "HOST_OFFLINE")
    test.simulator.faults.add(FaultRule(method=call, action=action, argument=argument, count=1))
    with pytest.raises(FerryError):
        test.target.make_test(test.order())

    test.target.make_test(test.order())

    assert len(test.disks()) == 2
    assert len(test.vm()["VIFs"]) == 2
    assert len(test.db.by_name("network", "web01 (ferry test) (no uplink)")) == 1


@pytest.mark.parametrize("call", MADE_BY)
@pytest.mark.parametrize("answer", ["refused", "lost"])
def test_what_an_attempt_made_that_broke_off_is_taken_away(test, call, answer):
    before = test.census()
    action, argument = ("drop", None) if answer == "lost" else ("error", "HOST_OFFLINE")
    test.simulator.faults.add(FaultRule(method=call, action=action, argument=argument, count=1))
    with pytest.raises(FerryError):
        test.target.make_test(test.order())

    test.target.drop_test(test.order())

    assert test.census() == before
    assert test.traces() == []


def test_a_worker_that_wakes_when_the_test_is_over_makes_nothing(test):
    before = test.census()
    test.target.drop_test(test.order(3))

    for number in (2, 3):
        with pytest.raises(FerryError) as refused:
            test.target.make_test(test.order(number))
        assert refused.value.code == "source.stale_epoch"

    assert test.census() == before
    test.target.make_test(test.order(4))


def test_an_original_whose_maker_died_before_it_was_cloned_is_never_taken_for_a_clone(test):
    [first, _] = test.shell.disks
    test.db.get("VDI", test.db.by_uuid("VDI", first.vdi))["other_config"][TEST_KEY] = first.vdi
    held = file_of(test.simulator, first.vdi)

    test.target.drop_test(test.order())

    assert file_of(test.simulator, first.vdi) == held
    assert test.traces() == []


def test_disks_that_somebody_writes_are_not_cloned(test, tmp_path):
    session = logged_in(test.simulator, tmp_path)
    vdi = test.db.by_uuid("VDI", test.shell.disks[0].vdi)
    for each in test.simulator.pool.vbds_of_vdi(vdi):
        test.db.get("VBD", each)["currently_attached"] = True

    with pytest.raises(Exception, match="VDI_IN_USE"):
        session.xenapi.VDI.clone(vdi, {})


def test_a_pool_without_memory_for_it_says_so(test):
    test.target.make_test(test.order())
    for metrics in test.db.all("host_metrics").values():
        metrics["memory_free"] = 1 << 20

    with pytest.raises(FerryError) as refused:
        test.target.start_test(test.order())

    assert refused.value.code == "xapi.cannot_start"


def test_the_shell_is_still_the_only_one_of_its_migration(test):
    test.target.make_test(test.order())

    removed = test.target.remove_shell(errand())  # refuses where several VMs bear its mark

    assert test.shell.disks[0].vdi in removed.kept_vdis
