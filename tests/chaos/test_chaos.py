"""The campaign as CI plays it, and what it is made of."""

import asyncio
import json
from dataclasses import dataclass

import pytest

from contracts.told import Report
from simulators.inventory import Inventory
from simulators.lab import Lab
from tests.chaos.campaign import Campaign, campaign
from tests.chaos.grid import FAULTS, UNREACHED, cells, orders
from tests.chaos.judging import judge
from tests.chaos.reach import REACH
from tests.chaos.results import page
from workflows.timing import TIMINGS

SEEDS = (2, 8, 13, 20, 27, 28)
"""A datastore and an SR that are full, a host that reboots, sessions, a lease and a trusted certificate lost."""


@pytest.mark.timeout(300)
def test_faults_of_either_side_end_well_or_with_the_source_as_it_was() -> None:
    made = asyncio.run(campaign(SEEDS, at_once=2))

    assert made.violations == [], json.dumps(made.told(), indent=1)
    assert len(made.lines) == len(SEEDS)


def test_every_activity_and_every_fault_is_in_the_grid() -> None:
    assert set(REACH) == set(TIMINGS) - UNREACHED, "learn them: python -m tests.chaos.learning"
    assert {(each.side, each.fault) for each in cells()} == set(FAULTS)
    assert len(set(cells())) == len(cells())


def test_as_many_seeds_as_cells_meet_every_cell_and_a_seed_says_all() -> None:
    assert {orders(seed).cell for seed in range(len(cells()))} == set(cells())
    assert orders(7) == orders(7) != orders(7 + len(cells()))


LAB = {"vsphere": {"vms": [{"name": "web01", "power": "on", "nics": [{"mac": "00:50:56:aa:00:01"}],
                            "disks": [{"size_mib": 1, "datastore": "datastore1"}]}]}}  # fmt: skip


@dataclass
class Seen:
    """A lab and its one machine."""

    lab: Lab

    def wrong(self, **report: object) -> str:
        given = Report.model_validate({"outcome": "failed", "error": "xapi.sr_full", **report})
        return "; ".join(judge(self.lab, given, []).wrong)


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


def test_a_page_tells_the_command_of_every_violation() -> None:
    line = {
        "seed": 7, "activity": "seal", "side": "xapi", "fault": "slow", "struck": 1, "outcome": "", "code": "",
        "asked": [], "wrong": ["it hangs"], "verdict": "violation", "seconds": 1.0, "code_version": "abc",
    }  # fmt: skip

    told = page(Campaign(range(7, 8), {7: line}), "docs/results/chaos.md")

    assert 'make chaos ARGS="--only 7"' in told
    assert "it hangs" in told
