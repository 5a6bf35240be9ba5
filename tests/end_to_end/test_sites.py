"""A site whose systems only its own worker reaches; the workflows run wherever Temporal is."""

import json
import re

import pytest

from tests.end_to_end.running import BIN, programs

INVENTORY = """
vsphere:
  networks: [VM Network]
  datastores: [{name: nfs1, type: NFS}]
  vms:
    - {name: web01, power: on, nics: [{network: VM Network, mac: "00:50:56:aa:00:01"}],
       disks: [{size_mib: 8, datastore: nfs1}]}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""


@pytest.fixture
def running(tmp_path, dev_server):
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    with programs(tmp_path, dev_server.address) as made:
        made.lab(tmp_path / "inventory.yaml")
        yield made


def polls(running, name, text):
    """A worker of that ferry.toml."""
    (running.folder / f"{name}.toml").write_text(text)
    running.begin(name, str(BIN / "python"), "worker.py", "--config", str(running.folder / f"{name}.toml"))
    running.until(lambda: "ready" in (running.folder / f"{name}.log").read_text(), name)


def test_only_the_workers_of_a_site_do_its_work_and_who_waits_for_them_is_told(running):
    lab = running.config.read_text()
    store = re.search(r"^\[store\]\n(?:.+\n)+", lab, re.MULTILINE)
    assert store is not None
    polls(running, "headquarters", store[0])
    running.config.write_text(lab.replace("[sources.vsphere]\n", '[sources.vsphere]\nsite = "dc2"\n'))

    started = running.ferry("start", "web01", "--network", "VM Network=lan", "--approval", "auto")
    assert started.returncode == 0, started.stderr
    assert "no worker polls 'ferry@dc2' and 'ferry-transfer@dc2'" in started.stderr
    assert "stands still until one does" in running.ferry("status", "web01").stderr
    looked = running.ferry("inventory")
    assert (looked.returncode, "no worker polls 'ferry@dc2'" in looked.stderr) == (1, True)

    polls(running, "site", running.config.read_text() + '\n[worker]\nsite = "dc2"\n\n[capacity]\nsite = 1\n')
    assert [each["name"] for each in json.loads(running.ferry("inventory", "-o", "json").stdout)] == ["web01"]
    doctor = running.ferry("doctor", "--site", "dc2")
    assert doctor.returncode == 0, doctor.stdout
    planned = running.ferry("plan", "web01", "-o", str(running.folder / "one.yaml"), "--network", "VM Network=lan")
    assert "site: dc2" in (running.folder / "one.yaml").read_text(), planned.stderr
    assert '"site:dc2": 1' in (running.folder / "one.yaml").read_text()

    running.until(lambda: running.ferry("status", "web01").returncode == 0, "site")
    verified = running.ferry("verify", "web01")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    record = running.ferry("report", "web01", "--export", str(running.folder / "record.jsonl"))
    assert record.returncode == 0, record.stderr
    assert running.ferry("gc", "plan", "--site", "dc2").returncode == 0
    assert "site:dc2" in (running.folder / "record.jsonl").read_text(), "it held the permit of its site"
    errors = (running.folder / "headquarters.log").read_text()
    assert "request.unknown_system" not in errors, "headquarters were never asked"
