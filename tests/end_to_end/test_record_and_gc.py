"""What an operator has of trust: the record of a real migration, and nothing left behind of one that died."""

import asyncio
import json
import random
import subprocess

import pytest
from temporalio.client import Client

from tests.end_to_end.running import BIN, programs

MIB = 1 << 20
INVENTORY = """
vsphere:
  datastores: [{name: nfs1, type: NFS}]
  vms:
    - name: web01
      power: on
      nics: [{network: VM Network, mac: "00:50:56:aa:00:01"}]
      disks: [{image: disk.raw, datastore: nfs1}]
      guest: {tools: running, writes_mib_per_s: 1, shutdown_seconds: 0.5}
    - name: web02
      power: on
      nics: [{network: VM Network, mac: "00:50:56:aa:00:02"}]
      disks: [{image: disk.raw, datastore: nfs1}]
      guest: {tools: running, writes_mib_per_s: 1, shutdown_seconds: 0.5}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""


@pytest.fixture
def running(tmp_path, dev_server):
    (tmp_path / "disk.raw").write_bytes(random.Random(6).randbytes(12 * MIB))
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    with programs(tmp_path, dev_server.address) as made:
        made.lab(tmp_path / "inventory.yaml")
        made.worker()
        yield made


def told(ended):
    return json.loads(ended.stdout)


def verify(file, *words):
    """Alone: no Temporal, no config, no network."""
    return subprocess.run(
        [str(BIN / "ferry"), "verify-report", str(file), *words], env={"PATH": "/usr/bin"}, cwd=file.parent,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def terminate(running, workflow):
    async def end():
        client = await Client.connect(running.environment["TEMPORAL_ADDRESS"])
        await client.get_workflow_handle(workflow).terminate("somebody's hand slipped")

    asyncio.run(end())


def test_the_record_of_a_real_migration_is_whole_and_is_checked_offline(running):
    started = running.ferry("start", "web01", "--approval", "auto", "--wait", "-o", "json", seconds=300)
    assert started.returncode == 0, started.stderr
    report = told(started)
    file = running.folder / "web01.record"

    assert running.ferry("report", "web01", "--export", str(file)).returncode == 0
    again = running.ferry("report", "web01", "-o", "json")
    assert told(again)["record_head"] == report["record_head"] != ""

    text = file.read_text()
    entries = [json.loads(line)["entry"] for line in text.splitlines() if line.startswith('{"entry"')]
    assert sum(each["said"]["bytes_sent"] for each in entries if each["kind"] == "pass") == report["bytes_sent"]
    copied = [
        each["said"]["answer"].get("bytes_sent", 0)
        for each in entries
        if each["kind"] == "outcome" and each["said"]["step"] == "copy_disk"
    ]
    assert sum(copied) == report["bytes_sent"] > 12 * MIB - 1
    assert [each["said"]["who"] for each in entries if each["kind"] == "decision"] == ["approval: auto"]
    for secret in running.state.rglob("*password*"):
        assert secret.read_text().strip() not in text

    checked = verify(file, "--head", report["record_head"])
    assert checked.returncode == 0, checked.stderr
    lines = text.splitlines(keepends=True)
    lines[9] = lines[9].replace('"seq":8', '"seq":9')
    file.write_text("".join(lines))
    checked = verify(file)
    assert checked.returncode == 7
    assert "line 10" in checked.stderr


def test_what_a_terminated_migration_left_is_removed_and_a_living_one_goes_on(running):
    assert running.ferry("start", "web02", "--delta-interval", "1h").returncode == 0
    running.until(
        lambda: told(running.ferry("status", "web02", "-o", "json"))["phase"] == "awaiting-approval", "worker"
    )
    slow = ("--delta-interval", "1h", "--bandwidth", "100k")  # two minutes
    assert running.ferry("start", "web01", *slow).returncode == 0
    running.until(lambda: running.xapi("left")["tasks"], "worker")
    terminate(running, "migrate/vsphere/web01")
    running.until(lambda: all("pending" not in each for each in running.xapi("left")["tasks"]), "worker")

    planned = running.ferry("gc", "plan", "-o", "json")
    assert planned.returncode == 0, planned.stderr
    plan = told(planned)["items"]
    dead = {each["kind"]: each["sort"] for each in plan if each["workflow"] == "migrate/vsphere/web01"}
    dead.pop("task", None)
    assert dead == {
        "mark": "leftover", "tracking": "leftover", "snapshot": "leftover", "shell": "leftover", "vdi-data": "data",
        "journal": "keep",
    }  # fmt: skip
    living = [each["sort"] for each in plan if each["workflow"] == "migrate/vsphere/web02"]
    assert living
    assert set(living) == {"living"}
    before = running.vcenter("state")["web02"]

    refused = running.ferry("gc", "apply")
    assert refused.returncode == 2, "nobody can be asked here"
    applied = running.ferry("gc", "apply", "--yes", "-o", "json")
    assert applied.returncode == 0, applied.stderr + applied.stdout
    assert {each["outcome"] for each in told(applied)} <= {"removed", "gone"}

    state = running.vcenter("state")
    assert not any(key.startswith("ferry.") for key in state["web01"]["extra_config"])
    assert state["web02"]["extra_config"] == before["extra_config"]
    [data] = [each["id"] for each in plan if each["sort"] == "data"]
    assert running.xapi("left")["loose_vdis"] == [data.rpartition("/")[2]]
    assert running.ferry("gc", "apply", data, "--yes").returncode == 2
    assert running.ferry("gc", "apply", "--data", data, "--yes").returncode == 0
    assert running.xapi("left")["loose_vdis"] == []
    assert running.ferry("gc", "apply", "--yes").returncode == 0
    [left] = [each for each in told(running.ferry("gc", "plan", "-o", "json"))["items"] if each["sort"] == "keep"]
    assert left["system"] == "store"

    assert running.ferry("start", "web01", "--approval", "auto", "--wait", seconds=300).returncode == 0
    assert running.ferry("approve", "web02", "--yes").returncode == 0
    running.until(lambda: told(running.ferry("status", "web02", "-o", "json"))["phase"] == "done", "worker", 120)
    kinds = {
        each["kind"] for each in told(running.ferry("gc", "plan", "-o", "json"))["items"] if each["sort"] != "keep"
    }
    assert kinds == {"pre-start"}
