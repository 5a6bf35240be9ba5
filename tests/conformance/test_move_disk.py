"""Disks of a running VM go to another SR: the cure of "opening journal failed: -2"."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import platforms.xapi.move_disk
from contracts.error_catalogue import entry
from contracts.errors import FerryError
from contracts.move_disk import MoveDiskReport, MoveDiskRequest
from contracts.steps import Shell
from platforms.xapi.faults import XapiFailure
from platforms.xapi.target import XapiTarget
from simulators.faults import FaultRule
from simulators.xapi.server import XapiSimulator
from tests.conformance.xapi_target import MIB, errand, file_of, made_shell, noise, pool_and_target, send

SRS = [{"name": "local-ext"}, {"name": "nfs1", "type": "nfs"}]


class Moving:
    def __init__(self, simulator: XapiSimulator, target: XapiTarget, shell: Shell) -> None:
        self.simulator, self.target, self.shell = simulator, target, shell

    def move(self, **more: str) -> MoveDiskReport:
        said = {"target": "pool", "vm": "web01", "sr": "nfs1", "who": "ann", **more}
        return self.target.move_disks(MoveDiskRequest.model_validate(said))

    def refused(self, **more: str) -> FerryError:
        with pytest.raises(FerryError) as told:
            self.move(**more)
        return told.value

    def tasks(self) -> list[str]:
        """Of moves."""
        labels = [each["name_label"] for each in self.simulator.db.all("task").values()]
        return [label for label in labels if "migrate" in label]

    def files(self, sr: str) -> int:
        return len(list((self.simulator.pool.folder / sr).glob("*.raw")))


@pytest.fixture
def moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moving]:
    monkeypatch.setattr(platforms.xapi.move_disk, "LOOK_EVERY", 0.05)
    with pool_and_target(tmp_path, speed=10, srs=SRS) as (simulator, target):
        shell = made_shell(target)
        send(target, shell, 0, {0: noise(1, MIB)})
        target.unblock(shell.vm, errand().mark())
        target.start(shell.vm, errand().mark())
        yield Moving(simulator, target, shell)


def test_all_disks_are_moved_with_what_is_in_them(moving):
    held = file_of(moving.simulator, moving.shell.disks[0].vdi)

    report = moving.move()

    assert [(each.device, each.moved) for each in report.disks] == [("0", True), ("1", True)]
    assert file_of(moving.simulator, report.disks[0].vdi) == held
    assert (moving.files("local-ext"), moving.files("nfs1")) == (0, 2)
    assert moving.tasks() == []


def test_what_is_there_already_is_left_alone(moving):
    moving.move(disk="0")

    report = moving.move()

    assert [(each.device, each.moved) for each in report.disks] == [("0", False), ("1", True)]
    assert moving.simulator.pool.stats.calls["VDI.pool_migrate"] == 2


def test_a_vm_that_is_off_and_names_that_fit_nothing_are_refused(moving):
    assert moving.refused(sr="nfs9").code == "move.refused"
    assert moving.refused(vm="web09").code == "move.refused"
    assert "no disk 7" in moving.refused(disk="7").message
    moving.target.stop(moving.shell.vm)
    assert "while it runs" in moving.refused().message
    assert moving.files("nfs1") == 0


def test_a_disk_that_somebody_works_at_is_waited_for(moving):
    vdi = moving.simulator.db.by_uuid("VDI", moving.shell.disks[0].vdi)
    moving.simulator.db.get("VDI", vdi)["current_operations"] = {"task": "mirror"}

    assert moving.refused().code == "xapi.busy"


def test_a_move_that_fails_is_told_by_its_cause_and_leaves_no_task(moving):
    moving.simulator.pool.db.get("SR", moving.simulator.db.by_name("SR", "nfs1")[0])["physical_size"] = 4096

    assert moving.refused().code == "xapi.sr_full"
    assert moving.tasks() == []
    assert moving.files("local-ext") == 2


@pytest.mark.parametrize("number", ["SR_BACKEND_FAILURE_47", "SR_BACKEND_FAILURE_453"])
def test_a_lost_journal_is_known_by_its_words_and_its_cure_is_named(number):
    failure = XapiFailure("VDI.resize", [number, "", "opening journal failed: -2", ""])

    assert failure.code == "xapi.journal_damaged"
    assert "ferry move-disk" in entry(failure.code).action


def test_a_lost_journal_is_told_wherever_it_is_met(moving):
    moving.simulator.faults.add(
        FaultRule(
            method="VDI.pool_migrate",
            action="error",
            argument=["SR_BACKEND_FAILURE_47", "", "opening journal failed: -2"],
        )
    )

    assert moving.refused().code == "xapi.journal_damaged"
