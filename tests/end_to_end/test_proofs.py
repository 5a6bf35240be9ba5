"""How the target is proven depends on what the pool offers: by the real programs, to the report."""

import json
import random

import pytest

from tests.end_to_end.running import programs
from tests.end_to_end.watched import MIB, Watched

INVENTORY = """
vsphere:
  datastores: [{name: nfs1, type: NFS}]
  vms:
    - name: web01
      power: on
      nics: [{network: VM Network, mac: "00:50:56:aa:00:01"}]
      disks: [{image: disk.raw, datastore: nfs1}]
      guest: {tools: running, shutdown_seconds: 1}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""


@pytest.fixture
def lab(tmp_path, dev_server):
    content = bytearray(24 * MIB + 512)
    content[: 12 * MIB] = random.Random(9).randbytes(12 * MIB)
    (tmp_path / "disk.raw").write_bytes(content)
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    with programs(tmp_path, dev_server.address) as running:
        running.lab(tmp_path / "inventory.yaml")
        running.worker()
        yield running


def vdi_files(lab):
    return sorted(each.name for each in (lab.state / "xcpng" / "local-ext").glob("*.raw"))


def test_without_nbd_the_downtime_proves_the_difference_to_a_snapshot_that_does_not_stay(lab):
    lab.xapi("faults", method="PUT /import_raw_vdi", action="slow", argument=MIB, count=-1)  # reading seems as slow
    migration = Watched(lab)
    migration.say("start", "web01", "--delta-interval", "1h", "--downtime-budget", "38s")
    migration.until(lambda seen: "snapshots that were read back" in seen.get("status", seen).get("predicted_proof", ""))
    migration.until(lambda seen: seen.get("phase") == "awaiting-approval")
    shown = lab.ferry("status", "web01").stdout
    lab.mend()
    base = [each for each in vdi_files(lab) if not each.startswith(lab.pool()["web01"]["disks"][0]["vdi"])]
    migration.say("approve", "web01", "--yes")

    report = migration.done()

    assert "by the difference to snapshots that were read back" in " ".join(shown.split())
    assert "against the snapshot" in report["disks"][0]["proof_target_is_sent"]["method"]
    assert len(base) == 1
    assert len(vdi_files(lab)) == 2, "the disk and its pre-start snapshot"
    assert base[0] not in vdi_files(lab)
    assert lab.ferry("verify", "web01").returncode == 0


def test_a_worker_that_dies_while_the_pool_computes_a_checksum_is_followed_by_one_that_waits_for_it(lab):
    lab.xapi("faults", method="GET /export_raw_vdi*", action="http", argument=404, count=-1)
    lab.xapi("faults", method="VDI.checksum!", action="slow", argument=2 * MIB, count=-1)
    migration = Watched(lab)
    migration.say("start", "web01", "--delta-interval", "1h", "--approval", "auto")
    lab.until(lambda: lab.xapi("stats")["calls"].get("task.set_progress"), "worker", 90)  # it is marked, and waited for
    assert any("checksum" in each for each in lab.xapi("left")["tasks"])
    lab.worker_now.kill()
    lab.worker()

    migration.done()

    assert lab.xapi("stats")["calls"]["VDI.checksum"] == 1


def test_where_nobody_is_served_an_export_the_pools_checksum_proves_the_target_and_again_later(lab):
    lab.xapi("faults", method="GET /export_raw_vdi*", action="http", argument=404, count=-1)
    migration = Watched(lab)
    migration.say("start", "web01", "--delta-interval", "1h")
    migration.until(lambda seen: seen.get("phase") == "awaiting-approval")
    migration.say("approve", "web01", "--yes")

    report = migration.done()

    [disk] = report["disks"]
    assert disk["proof_target_is_sent"]["method"].startswith("VDI.checksum of the pre-start snapshot")
    assert "HTTP 404" in disk["proof_target_is_sent"]["method"]
    assert disk["proof_target_is_source"]["method"].startswith("full read by")
    again = lab.ferry("verify", "web01", "-o", "json")
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert [each["holds"] for each in (*found["target"], *found["source"])] == [True, True]

    [target] = lab.pool()["web01"]["disks"]
    lab.xapi("flip", vdi=target["snapshot_vdi"], offset=3 * MIB + 7)
    changed = lab.ferry("verify", "web01")
    assert changed.returncode == 7
    assert "NO, at no known" in changed.stdout
