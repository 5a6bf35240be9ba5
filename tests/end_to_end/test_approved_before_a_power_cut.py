"""An approval outlives the server that took it: killed between the yes and the window, on a file, it goes on."""

import random
import time
from datetime import UTC, datetime, timedelta

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
      guest: {tools: running, writes_mib_per_s: 1, shutdown_seconds: 0.5, shutdown_burst_mib: 2}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""


@pytest.fixture
def inventory(tmp_path):
    content = bytearray(16 * MIB)
    content[: 8 * MIB] = random.Random(7).randbytes(8 * MIB)
    (tmp_path / "disk.raw").write_bytes(content)
    file = tmp_path / "inventory.yaml"
    file.write_text(INVENTORY)
    return file


def test_a_yes_outlives_the_server_that_took_it_and_the_one_after_it(tmp_path, temporal_cli, inventory):
    with DevServer(tmp_path / "temporal", cli=temporal_cli) as server, programs(tmp_path, server.address) as running:

        def power_cut():
            server.kill()
            time.sleep(1)
            server.start()

        running.lab(inventory)
        running.worker()
        migration = Watched(running)
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        migration.say(
            "start", "web01", "--delta-interval", "1h", "--quorum", "2", "--approval-expires", "3d",
            "--window", f"{tomorrow:%Y-%m-%d} 22:00-04:00 Europe/Berlin",
        )  # fmt: skip
        migration.until(lambda seen: seen.get("awaits_approval"))
        migration.say("approve", "web01", "--yes", "--who", "ann")
        power_cut()
        migration.until(lambda seen: seen.get("awaits_approval"))
        shown = running.ferry("status", "web01")
        assert (shown.returncode, "1 of 2, needs one more" in shown.stdout) == (5, True), shown.stdout
        migration.say("approve", "web01", "--yes", "--who", "bob", "--max-downtime", "1h")
        power_cut()
        migration.until(lambda seen: seen.get("approved_by") == "bob")
        shown = running.ferry("status", "web01")
        assert (shown.returncode, "window opens" in shown.stdout) == (8, True), shown.stdout
        assert running.vcenter("state")["web01"]["power"] == "poweredOn"

        migration.say("limit", "web01", "--window", "off")

        report = migration.done()
        assert [(each["who"], each["who_is"]) for each in report["decisions"]] == [
            ("ann", "claimed"),
            ("bob", "claimed"),
        ]
