"""Workers that are stopped in the middle of something, overtaken by another, and wake up (SAFETY 13, 14)."""

import json
import os
import random
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.judging import both_on, equal
from tests.end_to_end.running import BIN, programs

MIB = 1 << 20
INVENTORY = """
vsphere:
  datastores: [{name: nfs1, type: NFS}]
  vms:
    - name: web01
      firmware: efi
      power: on
      nics: [{network: VM Network, mac: "00:50:56:aa:00:01"}]
      disks: [{image: disk.raw, datastore: nfs1}]
      guest: {tools: running, writes_mib_per_s: 1, shutdown_seconds: 0.5, GUEST}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""


class Installation:
    """Programs, and two workers: the one that is stopped, and the one that goes on."""

    def __init__(self, running):
        self.running = running
        self.log = running.folder / "activities.jsonl"
        self.stopped = None

    def worker_to_be_stopped(self, activity, *, within=0.0, skip=0):
        """It stops itself when that activity begins, or so many seconds after."""
        aims = self.running.folder / "aims.json"
        aims.write_text(
            json.dumps(
                [{"activity": activity, "skip": skip, "within": within, "signal": "SIGSTOP"}] if activity else []
            )
        )
        self.stopped = self.running.begin(
            "zombie", str(BIN / "python"), "-m", "tests.crash.worker_under_fire", str(aims), str(self.log),
            "--config", str(self.running.config),
        )  # fmt: skip
        self.running.until(lambda: "ready" in (self.running.folder / "zombie.log").read_text(), "zombie")

    def stop(self):
        os.kill(self.stopped.pid, signal.SIGSTOP)

    def until_stopped(self):
        self.running.until(lambda: self.state() == "T", "zombie")

    def state(self):
        return Path(f"/proc/{self.stopped.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def wake(self):
        assert self.state() == "T", "it must have been asleep all the time"
        os.kill(self.stopped.pid, signal.SIGCONT)

    def has_woken(self):
        """It went on with what it had in hand, and came to an end with it."""
        begun = [json.loads(line) for line in self.log.read_text().splitlines()]
        ended = {line["id"] for line in begun if line["event"] == "end"}
        return all(line["id"] in ended for line in begun if line["event"] == "begin")

    def start(self, **request):
        request = {"delta_interval": "1h", "segment_bytes": "8MiB", "downtime_budget": "90s", **request}
        words = [word for key, value in request.items() for word in (f"--{key.replace('_', '-')}", value)]
        ended = self.running.ferry("start", "web01", *words)
        assert ended.returncode == 0, ended.stderr

    def shown(self):
        return json.loads(self.running.ferry("status", "web01", "-o", "json").stdout)

    def until(self, wanted, seconds=90):
        self.running.until(lambda: wanted(self.shown()), "worker", seconds)

    def say(self, *words):
        """Until somebody answers: the stopped worker's open polls swallow a task or two, until they time out.

        A rollback that is said while the start is under way names a time that has just changed: it is said again.
        """
        again = ("temporal.no_worker", "message.needs_confirmation")
        for _ in range(6):
            ended = self.running.ferry(*words)
            if ended.returncode == 0 or not any(code in ended.stderr for code in again):
                break
        assert ended.returncode == 0, ended.stderr

    def never_both_on(self):
        return not both_on(self.running.vcenter("state")["web01"]["power_log"], self.running.xapi("power"))


@pytest.fixture
def installed(tmp_path, dev_server, request):
    """``request.param``: more about the guest."""
    with installation(tmp_path, dev_server, getattr(request, "param", "seed: 1")) as made:
        yield made


@contextmanager
def installation(folder, server, guest):
    chance = random.Random(4)
    content = bytearray(40 * MIB)
    content[: 32 * MIB] = chance.randbytes(32 * MIB)
    (folder / "disk.raw").write_bytes(content)
    inventory = folder / "inventory.yaml"
    inventory.write_text(INVENTORY.replace("GUEST", guest))
    with programs(folder, server.address) as running:
        running.lab(inventory)
        made = Installation(running)
        try:
            yield made
        finally:
            if made.stopped is not None and made.stopped.poll() is None:
                os.kill(made.stopped.pid, signal.SIGCONT)
            if made.shown().get("phase") not in (None, "done", "rolled-back", "cancelled", "failed"):
                running.ferry("cancel", "web01", "--yes")


def over(seen):
    return (seen.get("report") or {}).get("outcome")


def test_a_worker_stopped_in_mid_put_writes_nothing_when_it_wakes(installed):
    running = installed.running
    installed.worker_to_be_stopped("")
    running.xapi("faults", method="PUT /import_raw_vdi", action="slow", argument=6 * MIB, count=-1)
    installed.start()
    running.until(lambda: running.xapi("stats")["bytes_written"] > 10 * MIB, "zombie")
    running.until(lambda: running.xapi("left")["dom0_vbds"], "zombie")
    installed.stop()
    assert running.xapi("left")["dom0_vbds"], "it holds the VDI: it is in the middle of a PUT"
    written = running.xapi("stats")["bytes_written"]

    running.worker()
    # The one that goes on has waited for the older writer, evicted it, and is in the middle of a PUT of its own.
    running.until(lambda: running.xapi("stats")["bytes_written"] > written + 2 * MIB, "worker", 120)
    installed.wake()
    installed.until(lambda seen: seen.get("phase") == "awaiting-approval")
    running.mend()
    installed.say("approve", "web01", "--yes")
    installed.until(over)

    report = installed.shown()["report"]
    assert report["outcome"] == "done", report
    assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"
    assert report["bytes_sent_again"] <= 2 * 8 * MIB
    assert set(running.xapi("stats")["most_writers_at_once"].values()) == {1}
    [disk] = running.pool()["web01"]["disks"]
    assert equal(running.state / "vsphere/nfs1/web01/web01-flat.vmdk", Path(disk["snapshot_file"]))
    assert installed.has_woken()
    assert running.xapi("left") == {"tasks": [], "dom0_vbds": [], "loose_vdis": [], "loose_snapshots": []}


@pytest.mark.parametrize("installed", ["ignores_shutdown: true"], indirect=True, ids=["a guest that stays on"])
def test_a_worker_stopped_in_the_power_off_powers_nothing_off_after_a_rollback(installed):
    running = installed.running
    installed.worker_to_be_stopped("power_off_source", within=2.0)
    # The guest was asked and does not care: after the patience the ladder comes to the hard power-off.
    installed.start(power_off="guest-then-hard", power_off_patience="6s")
    installed.until(lambda seen: seen.get("phase") == "awaiting-approval")
    installed.say("approve", "web01", "--yes")
    installed.until_stopped()

    # The one that goes on is kept from powering it off too, so that the rollback surely comes before.
    running.vcenter("faults", method="PowerOffVM_Task", action="fault", argument="TaskInProgress", count=-1)
    running.worker()
    installed.say("rollback", "web01", "--yes")
    installed.until(over)
    assert installed.shown()["report"]["outcome"] == "rolled-back", installed.shown()["report"]
    running.mend()
    installed.wake()
    running.until(installed.has_woken, "zombie", 60)
    time.sleep(1)

    source = running.vcenter("state")["web01"]
    assert source["power"] == "poweredOn"
    assert "poweredOff" not in [state for _, state in source["power_log"]]
    assert running.xapi("power") == []


@pytest.mark.parametrize(
    "within",
    [
        pytest.param(0.0, id="before its look at the epoch", marks=pytest.mark.long),
        pytest.param(0.04, id="in the middle"),
    ],
)
def test_a_worker_stopped_in_the_start_starts_nothing_after_a_rollback(installed, within):
    running = installed.running
    installed.worker_to_be_stopped("start_target", within=within)
    installed.start(approval="auto")
    installed.until_stopped()

    # The source's proof waits, so that the rollback surely comes before the end.
    for door in ("GET /folder", "GET /nfc"):
        running.vcenter("faults", method=door, action="http", argument=503, count=-1)
    running.worker()
    running.until(lambda: running.xapi("power"), "worker", 90)
    installed.say("rollback", "web01", "--yes")
    installed.until(over)
    assert installed.shown()["report"]["outcome"] == "rolled-back"
    running.mend()
    installed.wake()
    running.until(installed.has_woken, "zombie", 60)
    time.sleep(1)

    assert running.vcenter("state")["web01"]["power"] == "poweredOn"
    assert running.xapi("state")["vms"] == []
    assert installed.never_both_on()


@pytest.mark.long
def test_a_worker_stopped_in_the_power_on_wakes_no_source_when_the_second_cutover_is_through(installed):
    running = installed.running
    installed.worker_to_be_stopped("power_on_source")
    running.xapi("faults", method="VM.snapshot", action="error", argument=["SR_FULL", "0", "0"])
    installed.start()
    installed.until(lambda seen: seen.get("phase") == "awaiting-approval")
    installed.say("approve", "web01", "--yes")
    installed.until_stopped()

    running.worker()
    installed.until(lambda seen: seen.get("needs_human") == "xapi.sr_full")
    installed.say("retry", "web01")
    installed.until(lambda seen: seen.get("phase") == "awaiting-approval" and not seen.get("needs_human"))
    # Held before its end, while the mark is still on the source: the epoch alone must do.
    installed.say("approve", "web01", "--yes")
    installed.until(lambda seen: seen.get("phase") == "start" or over(seen))
    running.vcenter("faults", method="GET /folder", action="http", argument=503, count=-1)
    installed.wake()
    running.until(installed.has_woken, "zombie", 60)
    running.mend()
    installed.until(over)

    assert installed.shown()["report"]["outcome"] == "done"
    source = running.vcenter("state")["web01"]
    assert source["power"] == "poweredOff"
    assert [state for _, state in source["power_log"]] == ["poweredOn", "poweredOff", "poweredOn", "poweredOff"]
    assert installed.never_both_on()
