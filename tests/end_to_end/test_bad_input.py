"""What people get wrong, and what the world gets wrong for them: a code, a sentence, an exit code, nothing changed.

One installation for all; each case is a user's words on the real `ferry`, against real programs.
"""

import asyncio
import json
import random
import re
import subprocess
import time
from pathlib import Path

import pytest
from temporalio.client import Client

from contracts.config import load_config
from contracts.error_catalogue import CATALOGUE
from contracts.machine import OwnerMark
from platforms.vsphere.source import VsphereSource
from tests.crash.judging import equal
from tests.end_to_end.running import BIN, ROOT, programs
from tests.support import register_namespace

MIB = 1 << 20
INVENTORY = """
vsphere:
  networks: [VM Network, DMZ]
  datastores: [{name: nfs1, type: NFS}]
  vms:
    - {name: good01, power: on, disks: [{image: disk.raw, datastore: nfs1}], guest: {shutdown_seconds: 0.2}}
    - {name: full01, power: on, disks: [{image: disk.raw, datastore: nfs1}], guest: {shutdown_seconds: 0.2}}
    - {name: twin, instance_uuid: 11111111-0000-0000-0000-000000000001, disks: [{size_mib: 1, datastore: nfs1}]}
    - {name: twin, instance_uuid: 11111111-0000-0000-0000-000000000002, disks: [{size_mib: 1, datastore: nfs1}]}
    - {name: rdm01, power: on, disks: [{size_mib: 1, datastore: nfs1, rdm: physical}]}
    - {name: ind01, power: on, disks: [{size_mib: 1, datastore: nfs1, mode: independent_persistent}]}
    - {name: multi01, power: on, disks: [{size_mib: 1, datastore: nfs1, sharing: sharingMultiWriter}]}
    - {name: enc01, power: on, disks: [{size_mib: 1, datastore: nfs1, encrypted: true}]}
    - name: worst01
      power: on
      disks: [{size_mib: 1, datastore: nfs1, rdm: virtual}, {size_mib: 1, datastore: nfs1, unit: 1, encrypted: true}]
    - {name: old01, power: on, hw_version: 4, change_tracking_supported: false, disks: [{size_mib: 1, datastore: nfs1}]}
    - name: net01
      power: on
      nics: [{network: DMZ, mac: "00:50:56:aa:00:01"}]
      disks: [{size_mib: 1, datastore: nfs1}]
    - {name: taken01, power: on, disks: [{size_mib: 1, datastore: nfs1}]}
    - {name: store01, power: on, disks: [{image: disk.raw, datastore: nfs1}]}
xcpng:
  srs:
    - {name: local-ext, type: ext, size_gib: 64}
    - {name: small-lvm, type: lvm, size_gib: 0.0001}
    - {name: filling, type: ext, size_gib: 0.03}
  networks: [{name: lan}]
"""
MORE = """
[sources.badpw]
url = "URL_V"
username = "ferry@vsphere.local"
password = "file:FOLDER/wrong.password"
ca_file = "FOLDER/lab/ca.pem"
[sources.badcert]
url = "URL_V"
username = "ferry@vsphere.local"
password = "file:FOLDER/lab/vsphere.password"
tls_sha256 = ["PIN"]
[sources.nosecret]
url = "URL_V"
username = "ferry@vsphere.local"
password = "env:NOBODY_SET_THIS"
ca_file = "FOLDER/lab/ca.pem"
[targets.badpw]
url = "URL_X"
username = "root"
password = "file:FOLDER/wrong.password"
ca_file = "FOLDER/lab/ca.pem"
networks = { "*" = "lan" }
[targets.badcert]
url = "URL_X"
username = "root"
password = "file:FOLDER/lab/xcpng.password"
tls_sha256 = ["PIN"]
networks = { "*" = "lan" }
[targets.nonets]
url = "URL_X"
username = "root"
password = "file:FOLDER/lab/xcpng.password"
ca_file = "FOLDER/lab/ca.pem"
sr = "local-ext"
networks = { "VM Network" = "lan" }
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory, dev_server):
    folder = tmp_path_factory.mktemp("bad")
    content = bytearray(48 * MIB)
    content[: 40 * MIB] = random.Random(8).randbytes(40 * MIB)
    (folder / "disk.raw").write_bytes(content)
    (folder / "wrong.password").write_text("not this one\n")
    (folder / "inventory.yaml").write_text(INVENTORY)
    with programs(folder, dev_server.address) as made:
        made.lab(folder / "inventory.yaml")
        addresses = json.loads((folder / "lab.log").read_text().splitlines()[0])
        more = MORE.replace("URL_V", addresses["vsphere"]).replace("URL_X", addresses["xapi"])
        more = more.replace("FOLDER", str(folder)).replace("PIN", "ab" * 32)
        made.config.write_text(made.config.read_text() + more)
        made.worker()
        yield made


def start(running, vm, *words, source="vsphere", target="lab"):
    return running.ferry("start", vm, "--source", source, "--target", target, "--wait", "-o", "json", *words)


def world(running):
    """All that a migration could have changed, on both sides."""
    source = running.vcenter("state")
    left = running.xapi("left")
    kept = ("power", "snapshots", "chains", "extra_config", "change_tracking", "power_ons")
    return {name: {key: vm[key] for key in kept} for name, vm in source.items()}, running.xapi("state")["vms"], left


def shown(running, vm, source="vsphere"):
    ended = running.ferry("status", vm, "--source", source, "-o", "json")
    return json.loads(ended.stdout) if ended.stdout.strip() else {}


def until(running, vm, wanted, source="vsphere"):
    deadline = time.monotonic() + 60
    while not wanted(seen := shown(running, vm, source)):
        assert time.monotonic() < deadline, seen
        time.sleep(0.3)
    return seen


REFUSED = {
    "an unknown VM": (("nobody",), {}, "vm.unknown", 2, "nobody"),
    "an ambiguous VM": (("twin",), {}, "vm.ambiguous", 2, "11111111-0000-0000-0000-000000000002"),
    "a raw device mapping": (("rdm01",), {}, "preflight.rdm_disk", 4, "scsi0:0"),
    "an independent disk": (("ind01",), {}, "preflight.independent_disk", 4, "scsi0:0"),
    "a shared disk": (("multi01",), {}, "preflight.multi_writer_disk", 4, "scsi0:0"),
    "an encrypted disk": (("enc01",), {}, "preflight.encrypted_disk", 4, "scsi0:0"),
    "several at once": (("worst01",), {}, "preflight.blocked", 4, "preflight.encrypted_disk"),
    "an SR that is full at the start": (("good01", "--sr", "small-lvm"), {}, "preflight.sr_too_small", 4, "small-lvm"),
    "an unknown SR": (("good01", "--sr", "nowhere"), {}, "preflight.unknown_sr", 4, "local-ext"),
    "an unmapped network": (("net01",), {"target": "nonets"}, "preflight.unmapped_network", 4, "'DMZ'"),
    "an unknown system": (("good01",), {"source": "elsewhere"}, "request.unknown_system", 2, "this worker knows"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_a_code_and_nothing_is_changed(running, case):
    words, systems, code, exit_code, told = REFUSED[case]
    before = world(running)

    ended = start(running, *words, **systems)

    assert ended.returncode == exit_code, ended.stderr
    assert f"error[{code}]" in ended.stderr
    assert told in ended.stderr
    assert CATALOGUE[code].action in re.sub(r"\s+", " ", ended.stderr)
    assert json.loads(ended.stdout)["error"] == code
    assert world(running) == before


ASKED = {
    "a config without its secret": ({"source": "nosecret"}, "config.secret_missing", 0, 0),
    "a wrong password of the source": ({"source": "badpw"}, "vsphere.login_refused", 1, 0),
    "a wrong certificate of the source": ({"source": "badcert"}, "vsphere.certificate", 0, 0),
    "a wrong password of the pool": ({"target": "badpw"}, "xapi.login_refused", 0, 1),
    "a wrong certificate of the pool": ({"target": "badcert"}, "xapi.certificate", 0, 0),
}


@pytest.mark.parametrize("case", ASKED)
def test_it_waits_for_a_human_tries_a_password_once_and_changes_nothing(running, case):
    systems, code, at_source, at_target = ASKED[case]
    before, logins = world(running), refusals(running)

    ended = start(running, "good01", **systems)

    assert ended.returncode == 5, ended.stderr
    seen = json.loads(ended.stdout)
    assert (seen["needs_human"], seen["next_command"]) == (code, "ferry retry good01")
    assert CATALOGUE[code].action in seen["next_step"]
    # Once more, and a second migration with the same secret: an account is locked by the third refusal or so.
    source = systems.get("source", "vsphere")
    assert running.ferry("retry", "good01", "--source", source).returncode == 0
    until(running, "good01", lambda seen: seen.get("needs_human") == code, source)
    refused = refusals(running)
    assert (refused[0] - logins[0], refused[1] - logins[1]) == (at_source, at_target)
    assert running.ferry("cancel", "good01", "--source", source, "--yes").returncode == 0
    until(running, "good01", lambda seen: seen.get("report"), source)
    assert world(running) == before


def refusals(running):
    return running.vcenter("stats")["refused"], running.xapi("stats")["refused"]


def test_a_vm_without_change_tracking_is_told_and_waits_for_a_human_untouched(running):
    before = running.vcenter("state")["old01"]

    ended = start(running, "old01")

    assert ended.returncode == 5, ended.stderr
    assert "preflight.no_change_tracking" in [check["code"] for check in json.loads(ended.stdout)["checks"]]
    now = running.vcenter("state")["old01"]
    assert (now["power"], now["snapshots"], now["power_ons"]) == (before["power"], [], before["power_ons"])
    assert running.ferry("cancel", "old01", "--yes").returncode == 0
    until(running, "old01", lambda seen: seen.get("report"))
    assert running.vcenter("state")["old01"]["extra_config"] == before["extra_config"]


def test_an_unknown_field_is_refused_by_every_door(running):
    before = world(running)
    said = {"source": "vsphere", "vm": "good01", "target": "lab", "aproval": "geheim"}

    async def by_sdk():
        client = await Client.connect(running.environment["TEMPORAL_ADDRESS"])
        await client.start_workflow("MigrateVm", said, id="migrate/vsphere/misspelt", task_queue="ferry")

    asyncio.run(by_sdk())
    running.until(lambda: running.ferry("status", "migrate/vsphere/misspelt").returncode != 8, "worker")
    ended = running.ferry("status", "migrate/vsphere/misspelt")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "request.invalid" in ended.stdout
    assert "aproval" in ended.stdout
    assert "geheim" not in ended.stdout, "what stands in a field that nobody knows may be a secret"
    assert running.ferry("start", "good01", "--aproval", "auto").returncode == 2
    assert world(running) == before


def test_a_vm_that_another_ferry_moves_is_left_to_it(running):
    source = VsphereSource("vsphere", load_config(running.config).sources["vsphere"])
    machine = source.machine("taken01")
    source.claim(machine.machine_id, OwnerMark(migration="of-another", workflow="migrate/elsewhere/taken01"))
    before = world(running)

    ended = start(running, "taken01")

    assert ended.returncode == 9, ended.stderr
    assert "error[vm.already_migrating]" in ended.stderr
    assert "migrate/elsewhere/taken01" in ended.stderr
    assert world(running) == before
    source.release(machine.machine_id, "of-another")
    source.close()


def test_approvals_too_early_or_stale_a_second_start_and_an_sr_that_fills_up_at_hour_twenty(running):
    running.xapi("faults", method="PUT /import_raw_vdi", action="slow", argument=8 * MIB, count=-1)
    begun = running.ferry("start", "full01", "--target", "lab", "--source", "vsphere", "--sr", "filling",
                          "--segment-bytes", "8MiB", "--delta-interval", "1h")  # fmt: skip
    assert begun.returncode == 0, begun.stderr
    until(running, "full01", lambda seen: seen.get("phase") == "initial-sync")

    early = running.ferry("approve", "full01", "--source", "vsphere", "--yes")
    assert early.returncode == 9, early.stderr
    assert "error[message.wrong_phase]" in early.stderr
    again = running.ferry("start", "full01", "--source", "vsphere", "--target", "lab")
    assert again.returncode == 9
    assert "error[workflow.already_running]" in again.stderr
    running.mend()

    seen = until(running, "full01", lambda seen: seen.get("needs_human"))
    assert seen["needs_human"] == "xapi.sr_full", seen["message"]
    assert "filling" in seen["message"]
    source = running.vcenter("state")["full01"]
    assert (source["power"], source["snapshots"]) == ("poweredOn", []), "it waits with the source thawed and running"
    running.xapi("sr", name="filling", size=1 << 30)
    assert running.ferry("retry", "full01", "--source", "vsphere").returncode == 0
    until(running, "full01", lambda seen: seen.get("awaits_approval"))

    stale = running.ferry("approve", "full01", "--source", "vsphere", "--ticket", "ffffffffffff", "--yes")
    assert stale.returncode == 6, stale.stderr
    assert "error[message.stale_ticket]" in stale.stderr
    assert running.vcenter("state")["full01"]["power"] == "poweredOn"
    assert running.ferry("approve", "full01", "--source", "vsphere", "--yes").returncode == 0
    report = until(running, "full01", lambda seen: seen.get("report"))["report"]
    assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"
    [disk] = running.pool()["full01"]["disks"]
    assert equal(running.state / "vsphere/nfs1/full01/full01-flat.vmdk", Path(disk["snapshot_file"]))


def test_a_worker_with_another_store_is_refused_and_the_right_one_goes_on(tmp_path, dev_server):
    content = bytearray(40 * MIB)
    content[: 32 * MIB] = random.Random(8).randbytes(32 * MIB)
    (tmp_path / "disk.raw").write_bytes(content)
    (tmp_path / "inventory.yaml").write_text(
        "vsphere:\n  datastores: [{name: nfs1, type: NFS}]\n  vms:\n"
        "    - {name: store01, power: on, disks: [{image: disk.raw, datastore: nfs1}]}\n"
        "xcpng:\n  srs: [{name: local-ext, type: ext, size_gib: 64}]\n  networks: [{name: lan}]\n"
    )
    asyncio.run(register_namespace(dev_server.address, "two-stores"))  # where no other test's worker polls
    with programs(tmp_path, dev_server.address, "two-stores") as running:
        running.lab(tmp_path / "inventory.yaml")
        right = running.worker()
        running.xapi("faults", method="PUT /import_raw_vdi", action="slow", argument=8 * MIB, count=-1)
        assert running.ferry("start", "store01", "--segment-bytes", "8MiB").returncode == 0
        until(running, "store01", lambda seen: seen.get("phase") == "initial-sync")
        right.kill()
        right.wait()
        elsewhere = tmp_path / "elsewhere.toml"
        elsewhere.write_text(running.config.read_text().replace('/store"', '/another-store"'))
        wrong = subprocess.Popen(
            [str(BIN / "python"), "worker.py", "--config", str(elsewhere)], cwd=ROOT, env=running.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            seen = until(
                running, "store01",
                lambda seen: any(each["failure_code"] == "store.mismatch" for each in seen.get("activities", [])),
            )  # fmt: skip
        finally:
            wrong.terminate()
            wrong.wait(30)
        assert seen["execution"] == "running", "refused, and tried again: the right worker may come back"
        running.mend()
        running.worker()
        until(running, "store01", lambda seen: seen.get("awaits_approval"))
        assert running.ferry("cancel", "store01", "--yes").returncode == 0
        until(running, "store01", lambda seen: seen.get("report"))


def test_every_code_of_this_page_is_explained(running):
    """`ferry explain` knows them all, with words and a next step."""
    codes = {code for _, _, code, _, _ in REFUSED.values()} | {code for _, code, _, _ in ASKED.values()}
    codes |= {"preflight.no_change_tracking", "request.invalid", "vm.already_migrating", "message.wrong_phase",
              "message.stale_ticket", "workflow.already_running", "xapi.sr_full", "store.mismatch"}  # fmt: skip
    page = (ROOT / "docs" / "errors.md").read_text()
    explained = subprocess.run(
        [str(BIN / "ferry"), "explain", "-o", "json"], env=running.environment, capture_output=True, check=True
    )
    listed = {each["code"]: each for each in json.loads(explained.stdout)}
    for code in codes:
        assert f"`{code}`" in page, code
        assert listed[code]["meaning"], code
        assert listed[code]["action"], code
