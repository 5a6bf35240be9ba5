"""The campaign as CI plays it, and what it is made of."""

import asyncio
import json
from dataclasses import dataclass

import pytest

from contracts.told import Report
from simulators.inventory import Inventory
from simulators.lab import Lab
from tests.chaos.campaign import Campaign, campaign, known
from tests.chaos.grid import FAULTS, UNREACHED, cells, orders, seeds_of_all
from tests.chaos.judging import After, judge, meeting_others
from tests.chaos.reach import REACH
from tests.chaos.results import page
from tests.chaos.roads import FOREIGN, ROADS
from tests.end_to_end.running import ROOT
from workflows.timing import TIMINGS

RECORDED = ROOT / "docs/results/chaos.jsonl"
SEEDS = (2, 8, 13, 20, 27, 28, 466, 571)
"""A datastore and an SR that are full, a host that reboots, sessions, a lease and a trusted certificate lost; no room
for a test boot, and the task lost that removes a source."""


@pytest.mark.timeout(300)
def test_faults_of_either_side_end_well_or_with_the_source_as_it_was() -> None:
    made = asyncio.run(campaign(SEEDS, at_once=2))

    assert made.violations == [], json.dumps(made.told(), indent=1)
    assert len(made.lines) == len(SEEDS)


def test_every_activity_and_every_fault_is_in_the_grid() -> None:
    assert set(REACH) == set(TIMINGS) - UNREACHED, "learn them: python -m tests.chaos.learning"
    assert {(each.side, each.fault) for each in cells()} == set(FAULTS)
    assert len(set(cells())) == len(cells())


def test_the_seeds_meet_every_cell_and_a_seed_says_all() -> None:
    assert {orders(seed).cell for seed in seeds_of_all()} == set(cells())
    assert orders(7) == orders(7) != orders(7 + 366)


def test_a_seed_whose_run_is_on_record_stays_what_it_was() -> None:
    lines = known(RECORDED)
    assert len(lines) > 400
    for line in lines.values():
        said = orders(line["seed"])
        told = (said.cell.activity, said.cell.side, said.cell.fault, said.route)
        assert told == (line["activity"], line["side"], line["fault"], line["route"]), line["seed"]


def test_every_road_is_one_that_a_seed_takes() -> None:
    assert {orders(seed).route for seed in seeds_of_all()} == set(ROADS)


LAB = {"vsphere": {"vms": [{"name": "web01", "power": "on", "nics": [{"mac": "00:50:56:aa:00:01"}],
                            "disks": [{"size_mib": 1, "datastore": "datastore1"}]}]}}  # fmt: skip


@dataclass
class Seen:
    """A lab and its one machine."""

    lab: Lab

    def wrong(self, route: str = "straight", after: After | None = None, **report: object) -> str:
        given = Report.model_validate({"outcome": "failed", "error": "xapi.sr_full", **report})
        return "; ".join(judge(self.lab, given, [], route, after).wrong)


@pytest.fixture
def seen(tmp_path):
    with Lab(Inventory.model_validate(LAB), tmp_path / "lab") as lab:
        yield Seen(lab)


def test_the_judge_is_content_with_a_source_that_is_as_it_was(seen) -> None:
    assert seen.wrong() == ""


def test_the_judge_sees_what_is_wrong(seen) -> None:
    machine = seen.lab.vsphere.world.vm("web01")

    assert "its code is" in seen.wrong(error="internal")
    assert "its code is" in seen.wrong(error="")
    assert "the target is" in seen.wrong(outcome="done") or "the pool's VMs are" in seen.wrong(outcome="done")
    machine.take_snapshot("ferry-1", "")
    machine.start_connected[4000] = False
    machine.extra_config["ferry.fence"] = "{}"
    machine.turn_off(burst=False)
    seen.lab.xapi.pool.tasks.create("copy", "")
    told = seen.wrong()
    for each in ("snapshots are left", "still fenced", "marks are left", "the source is poweredOff", "tasks are left"):
        assert each in told
    seen.lab.xapi.pool.power_log.append((0.0, "web01", "Running"))
    assert "both machines were on at once" in seen.wrong()


def test_the_judge_sees_what_is_left_of_a_test_boot_and_one_that_nobody_asked_for(seen) -> None:
    db = seen.lab.xapi.pool.db
    db.add("network", name_label="web01 (ferry test) (no uplink)", other_config={"ferry.test": "m1"})
    db.add("VDI", uuid="a-clone", is_a_snapshot=False, other_config={"ferry.test": "a-disk"})
    seen.lab.xapi.pool.power_log.append((0.0, "web01 (ferry test)", "Running"))

    told = seen.wrong()

    for each in ("networks of tests are left", "bear the mark of a test", "a test was booted that nobody asked for"):
        assert each in told
    assert "both machines" not in told, "a test on a network of its own is no second machine"
    assert "nobody asked for" not in seen.wrong("test boot")


def test_the_judge_sees_a_test_that_meets_others(seen) -> None:
    db = seen.lab.xapi.pool.db
    [lan] = db.by_name("network", "lan")
    vm = db.add("VM", name_label="web01 (ferry test)", power_state="Running", VIFs=[])
    assert meeting_others(seen.lab) == []

    db.get("VM", vm)["VIFs"].append(db.add("VIF", network=lan, VM=vm, MAC="00:50:56:aa:00:01"))

    assert meeting_others(seen.lab) == ["web01 (ferry test) runs on a network with an uplink"]


def test_the_judge_sees_a_source_that_is_renamed_or_gone_without_a_yes(seen) -> None:
    machine = seen.lab.vsphere.world.vm("web01")
    as_it_was = seen.lab.vsphere.state()["web01"]

    machine.name = "web01-migrated"
    assert "no report says so" in seen.wrong()
    assert "it was retired, and its name is" in seen.wrong(retired_as="web01-migrated-2")
    seen.lab.vsphere.world.machines.clear()
    assert "nobody said yes" in seen.wrong(after=After("RetireVm", codes=["vm.gone"], source=as_it_was))
    assert "nobody said yes" not in seen.wrong(after=After("RetireVm", done=True, source=as_it_was))


def test_snapshots_of_others_stay_only_where_the_migration_failed_and_were_there_before(seen) -> None:
    seen.lab.vsphere.world.vm("web01").take_snapshot(FOREIGN, "")

    assert "snapshots are left" not in seen.wrong("approved steps")
    assert "snapshots are left" in seen.wrong("approved steps", outcome="done")
    assert "snapshots are left" in seen.wrong()


def test_a_page_tells_the_command_of_every_violation() -> None:
    line = {
        "seed": 7, "activity": "seal", "side": "xapi", "fault": "slow", "struck": 1, "outcome": "", "code": "",
        "asked": [], "wrong": ["it hangs"], "verdict": "violation", "seconds": 1.0, "code_version": "abc",
    }  # fmt: skip

    told = page(Campaign(range(7, 8), {7: line}), "docs/results/chaos.md")

    assert 'make chaos ARGS="--only 7"' in told
    assert "it hangs" in told
