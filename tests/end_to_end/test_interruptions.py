"""Temporal that dies, workers that are asked to go, passes that are paused: it goes on, and the disks are equal."""

import os
import random
import signal
import time

import pytest

from starter.temporal_server import DevServer
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
      guest: {tools: running, writes_mib_per_s: 1, shutdown_seconds: 4}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""
SLOW = {"method": "PUT /import_raw_vdi", "action": "slow", "argument": 4 * MIB, "count": -1}


@pytest.fixture
def inventory(tmp_path):
    content = bytearray(40 * MIB)
    content[: 32 * MIB] = random.Random(6).randbytes(32 * MIB)
    (tmp_path / "disk.raw").write_bytes(content)
    file = tmp_path / "inventory.yaml"
    file.write_text(INVENTORY)
    return file


def test_temporal_is_killed_in_the_initial_sync_while_waiting_and_in_the_cutover(tmp_path, temporal_cli, inventory):
    with DevServer(tmp_path / "temporal", cli=temporal_cli) as server, programs(tmp_path, server.address) as running:
        running.lab(inventory)
        running.worker()
        migration = Watched(running)
        running.xapi("faults", **SLOW)

        def power_cut(seconds=2.0):
            server.kill()
            time.sleep(seconds)
            server.start()

        migration.start()
        migration.until(lambda seen: seen.get("phase") == "initial-sync")
        migration.until_bytes_flow()
        power_cut()
        running.mend()
        migration.until(lambda seen: seen.get("phase") == "awaiting-approval")
        power_cut()
        migration.until(lambda seen: seen.get("phase") == "awaiting-approval")
        migration.say("approve", "web01", "--yes")
        # The cutover raises the epoch before it asks the guest, which takes four seconds to shut down.
        running.until(lambda: running.vcenter("state")["web01"]["extra_config"]["ferry.epoch"] == "1", "worker")
        assert running.xapi("power") == [], "the target was not started yet"
        power_cut()

        report = migration.done()
        assert report["bytes_sent_again"] <= 8 * MIB


def test_a_worker_that_is_asked_to_go_cuts_and_hands_over_within_seconds(tmp_path, dev_server, inventory):
    with programs(tmp_path, dev_server.address) as running:
        running.lab(inventory)
        first = running.worker()
        migration = Watched(running)
        running.xapi("faults", **{**SLOW, "argument": 2 * MIB})  # so that there is something left to hand over
        migration.start()
        migration.until_bytes_flow(mib=0.5)
        running.worker()  # another, which polls and has nothing to do

        began = time.monotonic()
        os.kill(first.pid, signal.SIGTERM)
        code = first.wait(20)
        gone = time.monotonic() - began
        migration.until_bytes_flow(mib=0.5)
        handed_over = time.monotonic() - began
        running.mend()

        assert code == 0
        assert gone < 8, f"it took {gone:.1f} s to go"
        assert handed_over < 9.5, f"handed over in {handed_over:.1f} s: no sooner than a dead one would be missed"
        migration.until(lambda seen: seen.get("phase") == "awaiting-approval")
        migration.say("approve", "web01", "--yes")
        assert migration.done()["bytes_sent_again"] == 0


def test_a_pass_that_is_paused_half_way_is_owed_and_the_source_thawed_meanwhile(tmp_path, dev_server, inventory):
    with programs(tmp_path, dev_server.address) as running:
        running.lab(inventory)
        running.worker()
        migration = Watched(running)
        running.xapi("faults", **{**SLOW, "argument": MIB})  # a busy machine takes its time to say pause
        migration.start()
        migration.until(lambda seen: seen.get("phase") == "initial-sync")
        migration.until_bytes_flow()

        migration.say("pause", "web01")
        running.until(lambda: not running.vcenter("state")["web01"]["snapshots"], "worker")
        written = running.xapi("stats")["bytes_written"]
        time.sleep(1)
        assert running.xapi("stats")["bytes_written"] == written < 32 * MIB
        running.mend()
        migration.say("resume", "web01")

        migration.until(lambda seen: seen.get("phase") == "awaiting-approval")
        migration.say("approve", "web01", "--yes")
        report = migration.done()
        assert report["bytes_sent_again"] == 0
        assert not report["pass_list"][0]["complete"]


def test_a_limit_is_kept_and_lifted_while_it_copies_and_nothing_is_sent_twice(tmp_path, dev_server, inventory):
    with programs(tmp_path, dev_server.address) as running:
        running.lab(inventory)
        running.worker()
        migration = Watched(running)
        migration.say("start", "web01", "--delta-interval", "1h", "--segment-bytes", "8MiB", "--bandwidth", "1M")
        migration.until_bytes_flow(mib=1)
        began, before = time.monotonic(), running.xapi("stats")["bytes_written"]
        time.sleep(4)
        slow = (running.xapi("stats")["bytes_written"] - before) / (time.monotonic() - began)
        assert 0.5 * MIB < slow < 1.3 * MIB, f"{slow / MIB:.1f} MiB/s"
        assert migration.shown()["bandwidth"] == "1M"

        began = time.monotonic()
        migration.say("limit", "web01", "off")
        migration.until(lambda seen: seen.get("phase") == "awaiting-approval")
        assert time.monotonic() - began < 20, "the rest alone would take that long at 1 MB/s"
        refused = running.ferry("limit", "web01", "fast")
        assert refused.returncode == 2, refused
        assert "write 50M" in refused.stderr

        migration.say("approve", "web01", "--yes")
        assert migration.done()["bytes_sent_again"] == 0
