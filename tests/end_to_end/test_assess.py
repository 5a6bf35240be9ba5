"""`ferry assess` by the real programs: a whole inventory, in every form, and nothing is touched."""

import csv
import io
import json

import pytest

from tests.end_to_end.running import programs

EVIL = "<script>alert(1)"  # vSphere writes a slash in a name as %2f
INVENTORY = f"""
vsphere:
  networks: [VM Network, DMZ]
  datastores: [{{name: nfs1, type: NFS}}]
  vms:
    - {{name: web01, power: on, disks: [{{size_mib: 1024, datastore: nfs1}}]}}
    - {{name: web02, power: on, disks: [{{size_mib: 1024, datastore: nfs1}}], guest: {{tools: not-running}}}}
    - {{name: db01, power: on, disks: [{{size_mib: 2048, datastore: nfs1, rdm: physical}}], snapshots: [before]}}
    - {{name: lost01, settings: {{connection: orphaned}}, power: off, disks: [{{size_mib: 1, datastore: nfs1}}]}}
    - {{name: "{EVIL}", power: off, disks: [{{size_mib: 1, datastore: nfs1}}]}}
    - {{name: "=HYPERLINK(1)", power: off, disks: [{{size_mib: 1, datastore: nfs1}}]}}
xcpng:
  srs: [{{name: local-ext, type: ext, size_gib: 64}}]
  networks: [{{name: lan}}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory, dev_server):
    folder = tmp_path_factory.mktemp("assess")
    (folder / "inventory.yaml").write_text(INVENTORY)
    with programs(folder, dev_server.address) as made:
        made.lab(folder / "inventory.yaml")
        made.worker()
        yield made


def assessed(running, *words):
    ended = running.ferry("assess", *words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_vm_has_a_verdict_and_the_totals_add_up(running):
    before = running.vcenter("state")

    found = json.loads(assessed(running, "-o", "json"))

    verdicts = {row["name"]: row["verdict"] for row in found["machines"]}
    assert verdicts == {
        "web01": "ready", "web02": "warning", "db01": "blocked", "lost01": "blocked", EVIL: "ready",
        "=HYPERLINK(1)": "ready",
    }  # fmt: skip
    totals = found["totals"]
    assert [totals[each]["machines"] for each in ("all", "ready", "warning", "blocked")] == [6, 3, 1, 2]
    assert totals["all"]["capacity"] == (4096 + 2) << 20, "of the lost VM nothing is known"
    assert {each["code"]: each["machines"] for each in totals["reasons"]} == {
        "preflight.rdm_disk": 1, "vm.inaccessible": 1, "preflight.tools_not_running": 1,
        "vsphere.foreign_snapshot": 1,
    }  # fmt: skip
    [check] = [each for row in found["machines"] if row["name"] == "lost01" for each in row["checks"]]
    assert (check["code"], check["severity"]) == ("vm.inaccessible", "blocker")
    assert "orphaned" in check["message"]
    assert all(each["remedy"] for row in found["machines"] for each in row["checks"])
    assert found["schema_version"] == 1
    assert "local-ext" in found["target"]
    assert running.vcenter("state") == before


def test_a_glob_chooses_and_a_word_that_fits_none_is_told(running):
    assert "2 VMs, 2.0 GiB: 1 ready (1.0 GiB), 1 with warnings (1.0 GiB), 0 blocked" in assessed(running, "web*")
    ended = running.ferry("assess", "nobody*")
    assert ended.returncode == 2
    assert "error[vm.unknown]" in ended.stderr


def test_a_network_or_sr_that_is_not_there_blocks_and_the_request_can_name_another(running):
    found = json.loads(assessed(running, "web01", "--sr", "nowhere", "-o", "json"))
    assert [check["code"] for check in found["machines"][0]["checks"]] == ["preflight.unknown_sr"]


def test_a_spreadsheet_takes_no_name_for_a_formula(running):
    rows = list(csv.DictReader(io.StringIO(assessed(running, "-o", "csv"))))
    by_name = {row["vm"]: row for row in rows}
    assert by_name["'=HYPERLINK(1)"]["verdict"] == "ready"
    assert by_name["db01"]["blockers"] == "preflight.rdm_disk"
    assert by_name["db01"]["warnings"] == "vsphere.foreign_snapshot"


def test_the_page_stands_alone_and_runs_no_vms_name(running):
    page = running.folder / "inventory.html"
    ended = running.ferry("assess", "--out", str(page))
    assert ended.returncode == 0, ended.stderr
    assert "6 VMs" in ended.stderr
    text = page.read_text()
    assert EVIL not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "default-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text
