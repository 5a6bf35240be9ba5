"""The parts of `ferry demo` that judge: they must be able to say no."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts.errors import FerryError
from contracts.record import RECORD_PLACE
from contracts.told import DiskReport, Report
from starter.demo.children import Child
from starter.demo.comparing import disks_equal
from starter.demo.images import ALLOCATED, make_image
from starter.demo.inventory import SLOTS, make_lab
from starter.demo.journals import bytes_under_way, in_initial_sync, segments_in_journal
from starter.demo.stage import Stage
from starter.demo.verdict import Outcome
from starter.main import run

MIB = 1 << 20


def journal(store: Path, disk: str, *events: str, torn: bytes = b"") -> None:
    file = store / "migrations" / "m1" / disk / "journal.jsonl"
    file.parent.mkdir(parents=True)
    lines = "".join(json.dumps({"event": event}) + "\n" for event in events)
    file.write_bytes(lines.encode() + torn)


def test_only_whole_done_lines_count_as_durable_segments(tmp_path: Path) -> None:
    journal(tmp_path, "a", "attempt", "plan", "sending", "terminated", "done", "sending", "done")
    journal(tmp_path, "b", "attempt", "plan", "sending", "done", torn=b'{"event":"do')

    journal(tmp_path, RECORD_PLACE, "done")  # the migration's record, which is no disk

    assert segments_in_journal(tmp_path) == {"a": 2, "b": 1}
    assert segments_in_journal(tmp_path / "nothing") == {}


def test_the_initial_sync_is_over_when_any_disk_closed_its_pass(tmp_path: Path) -> None:
    journal(tmp_path / "during", "a", "attempt", "plan", "done")
    journal(tmp_path / "after", "a", "attempt", "plan", "done", "closed")
    journal(tmp_path / "before", "a", "attempt")

    assert in_initial_sync(tmp_path / "during")
    assert not in_initial_sync(tmp_path / "after")
    assert not in_initial_sync(tmp_path / "before")


def test_bytes_are_under_way_between_the_beginning_of_a_segment_and_whatever_ends_it(tmp_path: Path) -> None:
    journal(tmp_path, "a", "attempt", "plan", "sending", "terminated", "done")
    journal(tmp_path, "b", "attempt", "plan", "sending", "terminated")
    assert not bytes_under_way(tmp_path)

    journal(tmp_path, "c", "attempt", "plan", "sending", "done", "sending")
    assert bytes_under_way(tmp_path)


def test_an_image_is_the_same_each_time_has_holes_and_data_in_its_last_sector(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    written = make_image(one, 1, 64 * MIB)
    make_image(same, 1, 64 * MIB)
    make_image(other, 2, 64 * MIB)

    assert one.read_bytes() == same.read_bytes() != other.read_bytes()
    assert one.stat().st_size == 64 * MIB
    assert ALLOCATED - 0.25 < written / (64 * MIB) < ALLOCATED + 0.25
    assert any(one.read_bytes()[-512:])
    assert bytes(MIB) in one.read_bytes()


def test_the_demos_inventory_is_one_that_the_lab_reads(tmp_path: Path) -> None:
    from simulators.inventory import load_inventory

    lab = load_inventory(make_lab(tmp_path))

    (vm,) = lab.vsphere.vms
    assert [f"{disk.controller}:{disk.unit}" for disk in vm.disks] == list(SLOTS)
    assert all(disk.image is not None and disk.image.exists() for disk in vm.disks)
    assert (vm.firmware, vm.power) == ("efi", "on")


class Pair:
    """A lab's folder with one VM of two disks, before the demo's compare looks at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "vsphere" / "nfs1" / "web01"
        self.target = folder / "xcpng" / "sr"
        self.source.mkdir(parents=True)
        self.target.mkdir(parents=True)
        for number, flat in enumerate(("web01-flat.vmdk", "web01_1-flat.vmdk")):
            content = bytes([number + 1]) * 3 * MIB
            (self.source / flat).write_bytes(content)
            (self.target / f"{number}.raw").write_bytes(content + bytes(MIB))
        self.write_state([0, 1])

    def write_state(self, numbers: list[int]) -> None:
        disks = [
            {"userdevice": str(at), "file": "live.vhd", "snapshot_file": str(self.target / f"{number}.raw")}
            for at, number in enumerate(numbers)
        ]
        state = {"vms": [{"name": "web01", "disks": disks}, {"name": "other", "disks": []}]}
        (self.folder / "xcpng" / "state.json").write_text(json.dumps(state))

    def equal(self) -> bool:
        return disks_equal(self.folder, datastore="nfs1", vm="web01")


def test_equal_disks_are_equal_though_the_sr_rounds_them_up(tmp_path: Path) -> None:
    assert Pair(tmp_path).equal()


def test_one_byte_in_the_last_sector_makes_them_unequal(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    with (pair.target / "1.raw").open("r+b") as file:
        file.seek(3 * MIB - 1)
        file.write(b"\xff")

    assert not pair.equal()


def test_rubbish_behind_the_end_makes_them_unequal(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    with (pair.target / "0.raw").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")

    assert not pair.equal()


def test_swapped_missing_or_cut_disks_are_unequal(tmp_path: Path) -> None:
    swapped, missing, cut = (Pair(tmp_path / name) for name in ("swapped", "missing", "cut"))
    swapped.write_state([1, 0])
    missing.write_state([0])
    os.truncate(cut.target / "1.raw", 2 * MIB)

    assert not swapped.equal()
    assert not missing.equal()
    assert not cut.equal()


def test_nothing_at_all_is_not_equal(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    for flat in pair.source.iterdir():
        flat.unlink()
    pair.write_state([])

    assert not pair.equal()


def outcome(*, sent_again: int = 16 * MIB, files_equal: bool = True, killed: bool = True, **report: str) -> Outcome:
    disks = tuple(DiskReport(disk_id=slot, slot=slot, capacity=1, vdi=slot) for slot in SLOTS)
    good = {"outcome": "done", "proof_target_is_sent": "holds", "proof_target_is_source": "holds"}
    told = Report.model_validate({**good, "disks": disks, "bytes_sent_again": sent_again, **report})
    return Outcome(told, 16 * MIB, files_equal, killed, {}, 1.0)


def test_the_demo_is_content_only_when_all_of_it_holds() -> None:
    assert outcome().holds
    assert outcome(sent_again=32 * MIB).holds


@pytest.mark.parametrize(
    "bad",
    [
        outcome(sent_again=32 * MIB + 1),
        outcome(files_equal=False),
        outcome(killed=False),
        outcome(outcome="rolled-back"),
        outcome(proof_target_is_sent="not-made"),
        outcome(proof_target_is_source="differs"),
    ],
)
def test_the_demo_fails_when_any_of_it_does_not_hold(bad: Outcome) -> None:
    assert not bad.holds
    assert sum(not holds for _, holds in bad.sentences) == 1


def _alive(pid: int) -> bool:
    """Running, and no zombie that only waits to be reaped."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_child_is_ended_with_all_that_it_began(tmp_path: Path) -> None:
    script = "import subprocess, time;print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    child = Child("child", [sys.executable, "-c", script], tmp_path, environment=os.environ)
    deadline = time.monotonic() + 10
    while not child.log.read_text().endswith("\n") and time.monotonic() < deadline:
        time.sleep(0.02)
    grandchild = int(child.log.read_text())

    child.check()
    child.kill()

    deadline = time.monotonic() + 5
    while _alive(grandchild) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(grandchild)
    with pytest.raises(FerryError, match="the child ended with -9"):
        child.check()


def test_a_folder_with_something_in_it_is_not_played_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious").write_text("mine")

    code = run(["demo", "--state", str(tmp_path)])

    assert code == 2
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "precious").read_text() == "mine"


def test_children_are_led_to_no_real_system_of_whoever_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "production.example:7233")
    monkeypatch.setenv("TEMPORAL_API_KEY", "secret")
    monkeypatch.setenv("FERRY_CONFIG", "/etc/ferry/ferry.toml")

    stage = Stage(tmp_path / "new")
    environment = stage._environment()

    assert not {"TEMPORAL_ADDRESS", "TEMPORAL_API_KEY", "FERRY_CONFIG"} & set(environment)
    assert environment["TEMPORAL_CONFIG_FILE"].startswith(str(tmp_path))
    stage.clear()
    assert (tmp_path / "new").exists(), "a folder that was asked for is kept"


def test_a_demo_that_cannot_be_played_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TEMPORAL_CLI": "/nonexistent/temporal"}

    played = subprocess.run(
        [sys.executable, "-m", "starter", "demo"], env=environment, capture_output=True, text=True, timeout=60
    )

    assert played.returncode == 2
    assert "error[temporal.no_server]" in played.stderr
    assert list(tmp_path.iterdir()) == []
