"""`ferry plan` and `ferry apply` by the real programs: a plan lives in a file with people's words, and is refused when
it is no longer true."""

import asyncio
import json

import pytest

from contracts.plan import fleet_request_of
from starter.planning.reading import read_plan
from tests.end_to_end.running import BIN, programs

MIB = 1 << 20
INVENTORY = """
vsphere:
  networks: [VM Network, DMZ]
  datastores: [{name: nfs1, type: NFS}, {name: vsan1, type: vsan}]
  vms:
    - name: web01
      power: on
      folder: Prod
      tags: [prod, wave-1]
      nics: [{network: VM Network, mac: "00:50:56:aa:00:01"}]
      disks: [{size_mib: 8, datastore: nfs1}]
    - {name: web02, power: on, folder: Prod, tags: [prod, wave-2], disks: [{size_mib: 8, datastore: vsan1}]}
    - name: db01
      power: off
      folder: Test
      tags: [wave-1]
      nics: [{network: DMZ, mac: "00:50:56:aa:00:02"}]
      disks: [{size_mib: 16, datastore: nfs1}]
    - {name: old01, power: off, disks: [{size_mib: 2048, datastore: nfs1}]}
    - {name: app01, power: off, disks: [{size_mib: 8, datastore: nfs1}]}
    - {name: rdm01, power: on, disks: [{size_mib: 8, datastore: nfs1, rdm: physical}]}
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}, {name: small, type: lvm, size_gib: 1}]
  networks: [{name: lan}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory, dev_server):
    folder = tmp_path_factory.mktemp("plan")
    (folder / "inventory.yaml").write_text(INVENTORY)
    with programs(folder, dev_server.address) as made:
        made.lab(folder / "inventory.yaml")
        made.worker()
        yield made


def planned(running, path, *words, code=0):
    ended = running.ferry("plan", *words, "-o", str(path))
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended


def test_vms_are_chosen_by_name_tag_folder_and_list_and_come_in_waves(running, tmp_path):
    planned(running, tmp_path / "tags.yaml", "--tag", "wave-*", "--wave-by-tag", "wave-*")
    plan = read_plan(tmp_path / "tags.yaml").plan
    assert [wave.name for wave in plan.waves] == ["wave-1", "wave-2"]
    assert {member.vm: member.wave for member in plan.members} == {
        "db01": "wave-1", "web01": "wave-1", "web02": "wave-2",
    }  # fmt: skip

    planned(running, tmp_path / "folder.yaml", "--folder", "Pr*", "--wave-size", "1")
    plan = read_plan(tmp_path / "folder.yaml").plan
    assert [(member.vm, member.wave) for member in plan.members] == [("web01", "1"), ("web02", "2")]

    (tmp_path / "list.csv").write_text("VM;wave;after\nweb01;apps;db01\ndb01;databases;\n")
    ended = planned(running, tmp_path / "list.yaml", "--from", str(tmp_path / "list.csv"), code=2)
    plan = read_plan(tmp_path / "list.yaml").plan
    assert [(member.vm, member.wave, member.after) for member in plan.members] == [
        ("web01", "apps", ("db01",)), ("db01", "databases", ()),
    ]  # fmt: skip
    line = (tmp_path / "list.yaml").read_text().splitlines().index("    after: [db01]") + 1
    assert f"list.yaml:{line}: web01 comes after db01, which is in the later wave 'databases'" in ended.stderr

    ended = planned(running, tmp_path / "none.yaml", "web01", "nobody", code=2)
    assert "error[vm.unknown]: no VM of vsphere is called nobody" in ended.stderr
    assert not (tmp_path / "none.yaml").exists()


def test_it_shows_what_happens_to_each_vm_and_pins_what_it_saw(running, tmp_path):
    ended = planned(running, tmp_path / "spring.yaml", "web*", "db01", "rdm01", "--rate", "1MiB", code=4)

    rows = {line.split()[0]: line for line in ended.stdout.splitlines() if line.strip()}
    assert "copied while it runs, then off and over" in rows["web01"]
    assert " https " in rows["web01"]
    assert " nfc " in rows["web02"]
    assert "16.0 MiB" in rows["db01"]
    assert "16s" in rows["db01"]
    assert "preflight.rdm_disk" in rows["rdm01"]
    assert "1.0 MiB/s a VM, as the plan says" in ended.stdout
    assert "blocked: rdm01 (preflight.rdm_disk)" in ended.stderr

    plan = read_plan(tmp_path / "spring.yaml").plan
    assert plan.seen is not None
    pinned = plan.seen.machines["web01"]
    assert (pinned.power, pinned.bytes, pinned.folder, pinned.tags) == ("on", 8 * MIB, "Prod", ("prod", "wave-1"))
    assert [(disk.capacity, disk.datastore, disk.transport) for disk in pinned.disks] == [(8 * MIB, "nfs1", "https")]
    assert [(nic.mac, nic.network) for nic in pinned.nics] == [("00:50:56:aa:00:01", "VM Network")]
    assert pinned.host
    assert plan.seen.targets["lab"].srs[""].name == "local-ext"

    text = (tmp_path / "spring.yaml").read_text()
    for secret in running.state.rglob("*password*"):
        assert secret.read_text().strip()[-18:] not in text


def test_an_sr_that_is_promised_more_than_it_has_and_a_network_that_leads_nowhere_are_told_with_the_line(
    running, tmp_path
):
    words = ("old01", "db01", "--sr", "small", "--network", "DMZ=nowhere")
    ended = planned(running, tmp_path / "p.yaml", *words, code=2)

    lines = (tmp_path / "p.yaml").read_text().splitlines()
    first, second = lines.index("  - vm: db01") + 1, lines.index("  - vm: old01") + 1
    assert f"p.yaml:{first}: db01: network 'DMZ' goes to 'nowhere', which pool lab has not" in ended.stderr
    assert f"p.yaml:{second}: old01: from here on SR small is overcommitted" in ended.stderr
    offline = running.ferry("plan", "--check", str(tmp_path / "p.yaml"))
    assert offline.returncode == 2
    assert f"p.yaml:{second}: old01" in offline.stderr


def test_a_plan_that_is_no_longer_true_is_refused_with_the_difference_and_a_true_one_is_carried_out(running, tmp_path):
    path = tmp_path / "autumn.yaml"
    planned(running, path, "web01", "db01", "--approval", "auto")
    mine = path.read_text().replace(
        "  - vm: web01\n", "  # the shop; ask Ann first\n  - vm: web01   # comes last\n    after: [db01]\n"
    )
    path.write_text(mine)
    planned(running, path)
    assert path.read_text() == mine, "nothing changed, so nothing is written otherwise"

    running.vcenter("vms/db01/grow", disk=0, capacity=24 * MIB)
    ended = running.ferry("apply", str(path), "-o", "json")

    assert ended.returncode == 6, ended.stderr
    assert "error[plan.stale]" in ended.stderr
    assert f"16.0 MiB ({16 * MIB} bytes" in ended.stderr
    assert f"24.0 MiB ({24 * MIB} bytes" in ended.stderr
    [difference] = json.loads(ended.stdout)["differences"]
    assert (difference["about"], difference["what"]) == ("db01", "disk scsi0:0")
    assert not running.pool(), "nothing was begun"

    planned(running, path)
    upper = path.read_text().partition("seen:")[0]
    assert upper == mine.partition("seen:")[0], "people's part stays to the last blank"
    ended = running.ferry("apply", str(path), "--wait", "-o", "json", seconds=240)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert (report["outcome"], report["standing"]) == ("done", {"done": 2})
    assert set(running.pool()) == {"web01", "db01"}
    too_small = running.ferry("rehearse", str(path), "--measured")
    assert (too_small.returncode, "error[plan.not_measured]" in too_small.stderr) == (1, True)
    assert running.ferry("rehearse", str(path)).returncode == 0


async def test_what_is_applied_twice_is_begun_once_and_another_plan_of_that_name_is_refused(
    running, tmp_path, temporal_client
):
    path = tmp_path / "winter.yaml"
    planned(running, path, "app01", "web02", "--wave-size", "1")  # app01 asks nobody, web02 waits for a person's yes
    mine = path.read_text().replace('  - name: "1"\n', '  - {name: "1", approval: auto}\n')
    path.write_text(mine)

    assert running.ferry("apply", str(path)).returncode == 0
    again = running.ferry("apply", str(path))
    assert again.returncode == 0
    assert "fleet/winter runs already, by this very plan" in again.stderr
    path.write_text(mine.replace("fleet: winter", "fleet: winter\nfailure_budget: 3"))
    other = running.ferry("apply", str(path))
    assert other.returncode == 9
    assert "error[fleet.already_running]" in other.stderr
    assert fleet_request_of(read_plan(path).plan).failure_budget == 3

    path.write_text(mine)
    process = running.begin("winter", str(BIN / "ferry"), "apply", str(path), "--wait", "--config", str(running.config))
    log = running.folder / "winter.log"
    running.until(lambda: "fleet winter: 1 running, 1 done, 1 wait for a yes" in log.read_text(), "winter")
    fleet = temporal_client.get_workflow_handle("fleet/winter")
    await fleet.execute_update("cancel", {"vms": ["web02"], "who": "ann"})

    assert await asyncio.to_thread(process.wait, 120) == 3
    assert "fleet winter: partial; 1 done, 1 cancelled" in log.read_text()
    assert "  web02: migration.cancelled" in log.read_text()
    once_more = running.ferry("apply", str(path))
    assert once_more.returncode == 3
    assert "has run to its end, by this very plan" in once_more.stderr
