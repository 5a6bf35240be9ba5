"""Appliances by the real programs: from a folder to a pool, every byte, and never a write to the folder."""

import hashlib
import json
import shlex
from pathlib import Path

import pytest

from tests.crash.judging import equal
from tests.end_to_end.running import ROOT, programs
from tests.files.making import MIB, appliance

INVENTORY = """
vsphere: {vms: []}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""


@pytest.fixture
def running(tmp_path, dev_server):
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    with programs(tmp_path, dev_server.address) as made:
        made.lab(tmp_path / "inventory.yaml")
        exports = f'\n[sources.exports]\nkind = "files"\nfolder = "{tmp_path / "exports"}"\n'
        made.config.write_text(made.config.read_text() + exports)
        yield made


def seen(folder):
    return {file.name: (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
            for file in folder.iterdir()}  # fmt: skip


def moved(running, vm, *words):
    ended = running.ferry("start", vm, "--source", "exports", "--network", "*=lan", "--approval", "auto",
                          "--segment-bytes", "8MiB", "--wait", *words)  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(running.ferry("status", f"migrate/exports/{vm}", "-o", "json").stdout)["report"]


def test_appliances_of_both_dialects_arrive_whole_and_their_files_stay_as_they_are(running, tmp_path):
    exports = tmp_path / "exports"
    _, shop = appliance(exports, "shop", count=2, size=24 * MIB, note="ask Ann first", macs=("00:50:56:aa:00:07",))
    _, box = appliance(exports, "box", "virtualbox", efi=True)
    before = seen(exports)
    running.worker()
    assert [
        each["name"] for each in json.loads(running.ferry("inventory", "--source", "exports", "-o", "json").stdout)
    ] == ["box", "shop"]

    report = moved(running, "shop", "--start")
    assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"
    assert [disk["transport"] for disk in report["disks"]] == ["file", "file"]
    moved(running, "box")

    pool = running.pool()
    assert (pool["shop"]["power_state"], pool["box"]["power_state"]) == ("Running", "Halted")
    for vm, raws in (("shop", shop), ("box", box)):
        disks = [Path(disk["snapshot_file"]) for disk in pool[vm]["disks"]]
        assert [equal(file, disk) for file, disk in zip(raws, disks, strict=True)] == [True] * len(raws)
    assert seen(exports) == before
    assert running.xapi("left") == {"tasks": [], "dom0_vbds": [], "loose_vdis": [], "loose_snapshots": []}
    assert (pool["shop"]["firmware"], pool["shop"]["description"]) == ("uefi", "ask Ann first")
    assert [nic["mac"] for nic in pool["shop"]["nics"]] == ["00:50:56:aa:00:07"]
    assert [disk["userdevice"] for disk in pool["shop"]["disks"]] == ["0", "1"]
    assert any("neither stopped nor fenced" in note for note in report["notes"])
    doctor = running.ferry("doctor").stdout
    assert "2 machines in" in doctor
    assert "exports privileges" not in doctor


def test_each_command_of_the_page_does_what_it_says(running, tmp_path):
    appliance(tmp_path / "exports", "shop", size=24 * MIB)
    running.worker()
    page = (ROOT / "docs" / "sources.md").read_text()
    commands = [shlex.split(line.removeprefix("$ ferry "), comments=True)
                for line in page.splitlines() if line.startswith("$ ferry ")]  # fmt: skip
    assert [words[0] for words in commands] == ["inventory", "assess", "start", "approve", "verify"]
    for words in commands:
        if words[0] == "approve":
            running.until(
                lambda: "awaiting-approval" in running.ferry("status", "migrate/exports/shop").stdout, "worker"
            )
        ended = running.ferry(*words)
        assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
        if words[0] == "approve":
            running.until(lambda: running.ferry("status", "migrate/exports/shop").returncode == 0, "worker")
    assert running.pool()["shop"]["power_state"] == "Running"
