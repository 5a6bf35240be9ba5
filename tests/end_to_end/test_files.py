"""Appliances by the real programs: from a folder to a pool, every byte, and never a write to the folder."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.crash.judging import equal
from tests.end_to_end.running import programs
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
    print(json.dumps(pool["shop"], indent=1)[:3000])
    print(report["notes"])
    verified = running.ferry("verify", "migrate/exports/shop")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    print(running.ferry("doctor").stdout)
