"""VMs on a free-licence ESXi by the real programs: what is off moves, what runs is told, and the host is only read."""

import json
import random
from pathlib import Path

import pytest

from simulators.vsphere.methods import PRIVILEGES
from tests.crash.judging import equal
from tests.end_to_end.running import programs
from tests.end_to_end.watched import MIB

INVENTORY = """
vsphere:
  kind: esxi
  licence: free
  datastores: [{name: vmfs1, type: VMFS}]
  vms:
    - {name: off01, power: off, disks: [{image: disk.raw, datastore: vmfs1}, {size_mib: 4, datastore: vmfs1, unit: 1}]}
    - {name: on01, power: on, disks: [{image: disk.raw, datastore: vmfs1}], guest: {writes_mib_per_s: 1}}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    content = bytearray(24 * MIB + 512)
    content[: 12 * MIB] = random.Random(8).randbytes(12 * MIB)
    content[-512:] = b"last" * 128
    (tmp_path / "disk.raw").write_bytes(content)
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    return tmp_path / "inventory.yaml"


def test_what_is_off_moves_what_runs_is_told_and_the_host_is_only_read(inventory, dev_server):
    with programs(inventory.parent, dev_server.address) as running:
        running.lab(inventory)
        running.worker()
        before = running.vcenter("state")

        told = running.ferry("start", "on01", "--approval", "auto", "--wait")
        assert told.returncode == 4, (told.stdout, told.stderr)
        assert "preflight.free_licence_running" in told.stderr
        assert "Switch it off by hand" in told.stderr
        assert running.pool() == {}

        ended = running.ferry("start", "off01", "--approval", "auto", "--segment-bytes", "8MiB", "--wait")
        assert ended.returncode == 0, (ended.stdout, ended.stderr)
        report = json.loads(running.ferry("status", "off01", "-o", "json").stdout)["report"]

        assert report["outcome"] == "done"
        assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"
        assert [disk["transport"] for disk in report["disks"]] == ["https", "https"]
        assert report["disks"][0]["reason"] == "https: /folder serves its base; nfc: the free licence allows no export"
        assert any("could not be fenced" in note for note in report["notes"])
        target = running.pool()["off01"]
        assert target["power_state"] == "Halted"
        for disk, flat in zip(target["disks"], ("off01-flat.vmdk", "off01_1-flat.vmdk"), strict=True):
            assert equal(running.state / "vsphere/vmfs1/off01" / flat, Path(disk["snapshot_file"]))
        assert running.vcenter("state") == before
        counted = running.vcenter("stats")
        assert set(counted["calls"]) & set(PRIVILEGES) == set()
        assert counted["restricted"] == {}
        assert running.xapi("left") == {"tasks": [], "dom0_vbds": [], "loose_vdis": [], "loose_snapshots": []}
        again = running.ferry("verify", "off01")
        assert again.returncode == 0, again.stderr

        running.vcenter("vms/on01/power", state="off")  # as somebody does in the host client
        ended = running.ferry("start", "on01", "--approval", "auto", "--segment-bytes", "8MiB", "--wait")
        assert ended.returncode == 0, (ended.stdout, ended.stderr)
        assert "free licence" in running.ferry("doctor").stdout
