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


def test_a_server_that_is_killed_between_the_yes_and_the_window_cuts_over_in_the_window(
    tmp_path, temporal_cli, inventory
):
    with DevServer(tmp_path / "temporal", cli=temporal_cli) as server, programs(tmp_path, server.address) as running:
        running.lab(inventory)
        running.worker()
        migration = Watched(running)
        opens = (datetime.now(UTC) + timedelta(seconds=100)).replace(second=0, microsecond=0)
        if opens - datetime.now(UTC) < timedelta(seconds=60):
            opens += timedelta(minutes=1)
        window = f"{opens:%Y-%m-%d %H:%M}/{opens + timedelta(hours=2):%Y-%m-%d %H:%M} UTC"
        migration.say(
            "start", "web01", "--delta-interval", "1h", "--window", window, "--quorum", "2", "--approval-expires", "1d"
        )
        migration.until(lambda seen: seen.get("awaits_approval"))
        migration.say("approve", "web01", "--yes", "--who", "ann")
        shown = running.ferry("status", "web01")
        assert (shown.returncode, "1 of 2, needs one more" in shown.stdout) == (5, True), shown.stdout
        server.kill()
        time.sleep(1)
        server.start()
        migration.until(lambda seen: seen.get("awaits_approval"))
        migration.say("approve", "web01", "--yes", "--who", "bob", "--max-downtime", "1h")
        shown = running.ferry("status", "web01")
        assert (shown.returncode, "window opens" in shown.stdout) == (8, True), shown.stdout
        assert datetime.now(UTC) < opens, "the machine was too slow for this test"

        server.kill()
        time.sleep(1)
        server.start()

        report = migration.done()
        source = running.vcenter("state")["web01"]
        [went_off] = [at for at, power in source["power_log"] if power == "poweredOff"]
        assert went_off >= opens.timestamp()
        assert [each["who"] for each in report["decisions"]] == ["ann", "bob"]
        assert {each["who_is"] for each in report["decisions"]} == {"claimed"}
