"""The by-hand run of the design: programs and words as a person types them; qemu-img is the judge."""

import json
import random
import subprocess

import pytest

from tests.conftest import require_tool
from tests.end_to_end.running import programs

MIB = 1 << 20
INVENTORY = """
vsphere:
  version: 8.0.3
  datastores: [{name: nfs1, type: NFS}, {name: vmfs1, type: VMFS, vmfs: 6, base_readable: true}]
  vms:
    - name: web01
      firmware: efi
      power: on
      annotation: the shop
      tags: [prod, shop]
      cpus: 2
      memory_mib: 2048
      nics:
        - {network: VM Network, mac: "00:50:56:aa:00:01", mac_type: manual}
        - {network: VM Network, mac: "00:0c:29:aa:00:02"}
      disks:
        - {image: web01.raw, datastore: vmfs1, controller: scsi0, unit: 0}
        - {image: data.qcow2, datastore: nfs1, controller: scsi0, unit: 1}
      guest: {tools: running, writes_mib_per_s: 1, shutdown_seconds: 0.5}
    - name: old01
      firmware: bios
      power: on
      nics: [{network: VM Network, mac: "00:50:56:aa:00:03"}]
      disks: [{image: odd.raw, datastore: nfs1, controller: ide0, unit: 0}]
      guest: {tools: running, writes_mib_per_s: 0.5, shutdown_seconds: 0.2}
    - name: cold01
      firmware: bios
      power: off
      disks: [{image: data.qcow2, datastore: vmfs1}]
xcpng:
  pool: lab
  srs: [{name: local-ext, type: ext, size_gib: 4096}]
  networks: [{name: lan}]
"""


@pytest.fixture
def inventory(tmp_path):
    qemu_img = require_tool("qemu-img", "qemu-utils")
    chance = random.Random(11)
    for name, size in (("web01.raw", 40 * MIB), ("odd.raw", 7 * MIB + 1536)):
        content = bytearray(size)
        content[: 3 * MIB] = chance.randbytes(3 * MIB)
        content[-512:] = chance.randbytes(512)  # data in the last sector
        (tmp_path / name).write_bytes(content)
    content = bytearray(24 * MIB)
    content[9 * MIB : 11 * MIB] = chance.randbytes(2 * MIB)
    (tmp_path / "data.raw").write_bytes(content)
    subprocess.run(
        [qemu_img, "convert", "-f", "raw", "-O", "qcow2", tmp_path / "data.raw", tmp_path / "data.qcow2"], check=True
    )
    file = tmp_path / "inventory.yaml"
    file.write_text(INVENTORY)
    return file


def judged(one, other):
    """What qemu-img says of two raw files; a longer one must be zeros past the other's end."""
    qemu_img = require_tool("qemu-img", "qemu-utils")
    return subprocess.run([qemu_img, "compare", "-f", "raw", "-F", "raw", one, other], capture_output=True, text=True)


def test_three_machines_are_moved_by_hand_and_their_disks_are_equal(tmp_path, dev_server, inventory):
    with programs(tmp_path, dev_server.address) as running:
        running.lab(inventory)
        running.worker()
        for name in ("web01", "old01", "cold01"):
            ended = running.ferry("start", name, "--approval", "auto", "--wait", "-o", "json")
            assert ended.returncode == 0, ended.stderr + (tmp_path / "worker.log").read_text()[-3000:]
            report = json.loads(ended.stdout)
            assert report["outcome"] == "done"
            assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"

        pool = running.pool()
        assert [pool[name]["power_state"] for name in ("web01", "old01", "cold01")] == ["Running", "Running", "Halted"]
        assert [pool[name]["firmware"] for name in ("web01", "old01", "cold01")] == ["uefi", "bios", "bios"]
        assert (pool["web01"]["description"], pool["web01"]["tags"]) == ("the shop", ["prod", "shop"])
        assert [nic["mac"] for nic in pool["web01"]["nics"]] == ["00:50:56:aa:00:01", "00:0c:29:aa:00:02"]
        sources = {
            ("web01", 0): "vmfs1/web01/web01-flat.vmdk",
            ("web01", 1): "nfs1/web01/web01_1-flat.vmdk",
            ("old01", 0): "nfs1/old01/old01-flat.vmdk",
            ("cold01", 0): "vmfs1/cold01/cold01-flat.vmdk",
        }
        for (name, number), file in sources.items():
            disk = pool[name]["disks"][number]
            source = running.state / "vsphere" / file
            told = judged(source, disk["snapshot_file"])
            assert told.returncode == 0, (name, number, told.stdout + told.stderr)
            assert judged(source, disk["file"]).returncode == 0


def test_what_a_new_user_types_wrongly_is_answered_well(tmp_path, dev_server, inventory):
    with programs(tmp_path, dev_server.address) as running:
        running.lab(inventory)
        running.worker()

        unknown = running.ferry("start", "nobody", "--wait")
        early = running.ferry("approve", "nobody-else", "--yes")
        nonsense = running.ferry("start", "web01", "--downtime-budget", "soon")

        assert unknown.returncode == 2
        assert "vm.unknown" in unknown.stderr
        assert "ferry inventory" in unknown.stderr
        assert early.returncode == 2
        assert "workflow.unknown" in early.stderr
        assert nonsense.returncode == 2
        assert running.ferry("inventory", "-o", "json").returncode == 0
        assert running.ferry("doctor").returncode == 0
        assert running.pool() == {}


TOOLLESS = """
vsphere:
  datastores: [{name: nfs1, type: NFS}]
  vms:
    - name: mute01
      power: on
      nics: [{network: VM Network, mac: "00:50:56:aa:00:09"}]
      disks: [{size_mib: 16, datastore: nfs1}]
      guest: {tools: not-running, writes_mib_per_s: 0.5, writes_span_mib: 4}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""


def test_a_cutover_that_had_to_be_undone_comes_to_its_end_at_the_second_yes(tmp_path, dev_server):
    """Nobody can ask its guest to shut down: the source comes back, a human shuts it down, and says yes again."""
    file = tmp_path / "inventory.yaml"
    file.write_text(TOOLLESS)
    with programs(tmp_path, dev_server.address) as running:
        running.lab(file)
        running.worker()

        def shown():
            return json.loads(running.ferry("status", "mute01", "-o", "json").stdout)

        def approve():
            running.until(lambda: shown().get("phase") == "awaiting-approval", "worker")
            assert running.ferry("approve", "mute01", "--yes").returncode == 0

        assert running.ferry("start", "mute01", "--delta-interval", "1h").returncode == 0
        approve()
        running.until(lambda: shown().get("needs_human") == "source.shutdown_timeout", "worker")
        undone = running.vcenter("state")["mute01"]
        assert running.ferry("retry", "mute01").returncode == 0
        # Its watch has ended when it waits for a yes again, not when the question is gone.
        running.until(lambda: shown().get("phase") == "awaiting-approval", "worker")
        # Only now: a guest that goes off while somebody is asked needs no second yes (late_shutdown.py).
        running.vcenter("vms/mute01/power", state="off")
        approve()
        running.until(lambda: (shown().get("report") or {}).get("outcome") == "done", "worker")

        assert (undone["power"], undone["snapshots"]) == ("poweredOn", [])
        report = shown()["report"]
        assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"
        ended = running.vcenter("state")["mute01"]
        assert (ended["power"], ended["snapshots"], ended["power_ons"]) == ("poweredOff", [], undone["power_ons"])
        assert not [key for key in ended["extra_config"] if key in ("ferry.migration", "ferry.workflow", "ferry.epoch")]
        target = running.pool()["mute01"]
        assert target["power_state"] == "Running"
        [disk] = target["disks"]
        assert judged(running.state / "vsphere/nfs1/mute01/mute01-flat.vmdk", disk["snapshot_file"]).returncode == 0
