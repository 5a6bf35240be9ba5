"""One migration from each kind of VMware storage, warm, by the real programs; and what a proof finds is mended."""

import json
import random
import tomllib
from pathlib import Path

import pytest

from tests.conftest import require_tool
from tests.crash.judging import equal
from tests.end_to_end.running import programs
from tests.end_to_end.watched import MIB, Watched

READ_BY = {"vmfs5": ("nfc", "https"), "vmfs6": ("nfc", "https"), "nfs1": ("nfs", "nfs"), "vsan": ("nfc", "nfc")}
"""While the machine runs and holds its locks, and when it is off."""
DATASTORES = """
    - {name: vmfs5, type: VMFS, vmfs: 5}
    - {name: vmfs6, type: VMFS, vmfs: 6}
    - {name: nfs1, type: NFS}
    - {name: vsan, type: vsan}"""
VM = """
    - name: %s
      power: on
      nics: [{network: VM Network, mac: "00:50:56:aa:00:0%d"}]
      disks: [{image: disk.raw, datastore: %s}]
      guest: {tools: running, writes_mib_per_s: %d, shutdown_seconds: 1}"""
PLUGIN = Path(__file__).parents[1] / "conformance" / "vddk_plugin.sh"
POOL = """
xcpng:
  srs: [{name: local-ext, type: ext, size_gib: 64}]
  networks: [{name: lan}]
"""


@pytest.fixture
def disk(tmp_path):
    content = bytearray(24 * MIB + 512)
    content[: 12 * MIB] = random.Random(9).randbytes(12 * MIB)
    content[-512:] = b"last" * 128
    (tmp_path / "disk.raw").write_bytes(content)
    return tmp_path


def inventory(folder: Path, vms: dict[str, str], writes: int = 1) -> Path:
    file = folder / "inventory.yaml"
    told = "".join(VM % (name, number, store, writes) for number, (name, store) in enumerate(vms.items()))
    file.write_text(f"vsphere:\n  datastores:{DATASTORES}\n  vms:{told}{POOL}")
    return file


def test_every_kind_of_storage_is_left_warm_by_its_transport(disk, dev_server):
    with programs(disk, dev_server.address, namespace="default") as running:
        running.lab(inventory(disk, {f"on-{store}": store for store in READ_BY}))
        config = running.config.read_text()
        assert "[sources.vsphere]" in config
        running.config.write_text(f'{config}\n[sources.vsphere.nfs]\nnfs1 = "{running.state}/vsphere/nfs1"\n')
        running.worker()
        for store in READ_BY:
            ended = running.ferry("start", f"on-{store}", "--approval", "auto", "--segment-bytes", "8MiB")
            assert ended.returncode == 0, ended.stderr
        for store, (warm, cold) in READ_BY.items():
            report = _report(running, f"on-{store}")
            assert report["outcome"] == "done", report
            assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"
            passes = report["pass_list"]
            assert [each["kind"] for each in passes[:2]] == ["initial", "delta"], "warm"
            assert {each["transport"] for each in passes[:-1]} == {warm}, passes
            assert passes[-1]["transport"] == cold, passes
            assert passes[0]["transport_reason"]
            [target] = running.pool()[f"on-{store}"]["disks"]
            flat = running.state / f"vsphere/{store}/on-{store}/on-{store}-flat.vmdk"
            assert equal(flat, Path(target["snapshot_file"]))
        shown = running.ferry("status", "on-vsan").stdout
        assert "nfc" in shown


def test_every_kind_of_storage_is_left_warm_by_vddk_where_it_is_supplied(disk, dev_server):
    require_tool("nbdkit", "nbdkit")
    (disk / "vix").mkdir()
    with programs(disk, dev_server.address, namespace="default") as running:
        running.lab(inventory(disk, {f"by-vddk-{store}": store for store in READ_BY}))
        said = f'[sources.vsphere.vddk]\nlibdir = "{disk}/vix"\nplugin = "sh {PLUGIN}"\n'
        running.config.write_text(f"{running.config.read_text()}\n{said}")
        secret = tomllib.loads(running.config.read_text())["sources"]["vsphere"]["password"]
        running.environment |= {
            "FERRY_TEST_TOLD": str(disk / "told"), "FERRY_TEST_STORES": str(running.state / "vsphere"),
            "FERRY_TEST_PASSWORD": Path(secret.removeprefix("file:")).read_text().rstrip("\n"),
        }  # fmt: skip
        running.worker()
        for store in READ_BY:
            ended = running.ferry("start", f"by-vddk-{store}", "--approval", "auto", "--segment-bytes", "8MiB")
            assert ended.returncode == 0, ended.stderr
        for store in READ_BY:
            report = _report(running, f"by-vddk-{store}")
            assert report["outcome"] == "done", report
            assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"
            assert [each["kind"] for each in report["pass_list"][:2]] == ["initial", "delta"], "warm"
            assert {each["transport"] for each in report["pass_list"]} == {"nbd"}, report["pass_list"]
            [target] = running.pool()[f"by-vddk-{store}"]["disks"]
            flat = running.state / f"vsphere/{store}/by-vddk-{store}/by-vddk-{store}-flat.vmdk"
            assert equal(flat, Path(target["snapshot_file"]))


def test_a_bit_that_flips_on_the_target_is_found_and_mended_before_the_start(disk, dev_server):
    with programs(disk, dev_server.address) as running:
        running.lab(inventory(disk, {"web01": "nfs1"}, writes=0))
        running.worker()
        migration = Watched(running)
        migration.start()
        migration.until(lambda seen: seen.get("phase") == "awaiting-approval")
        [target] = running.pool()["web01"]["disks"]
        running.xapi("flip", vdi=target["vdi"], offset=5 * MIB + 77)
        migration.say("approve", "web01", "--yes")

        report = migration.done()

        [mended] = report["disks"][0]["repaired"]
        assert mended["differences"] == [5 * MIB]
        assert "repaired" in running.ferry("status", "web01").stdout


def _report(running, vm: str) -> dict:
    def over() -> bool:
        ended = running.ferry("status", vm, "-o", "json")
        return bool(ended.stdout.strip()) and bool((json.loads(ended.stdout).get("report") or {}).get("outcome"))

    try:
        running.until(over, "worker", 120)
    except AssertionError:
        print(running.ferry("status", vm, "-o", "json").stdout)
        raise
    return json.loads(running.ferry("status", vm, "-o", "json").stdout)["report"]


def test_a_finished_migration_is_proven_again_and_what_has_changed_since_is_named(disk, dev_server):
    with programs(disk, dev_server.address) as running:
        running.lab(inventory(disk, {"web01": "nfs1"}, writes=0))
        running.worker()
        migration = Watched(running)
        migration.say("start", "web01", "--delta-interval", "1h")
        migration.until(lambda seen: seen.get("phase") == "awaiting-approval")
        early = running.ferry("verify", "web01")
        assert early.returncode == 9, early
        assert "verify.not_done" in early.stderr
        migration.say("approve", "web01", "--yes")
        migration.done()

        again = running.ferry("verify", "web01", "-o", "json")
        assert again.returncode == 0, again.stderr
        found = json.loads(again.stdout)
        assert [each["holds"] for each in (*found["target"], *found["source"])] == [True, True]
        source = running.vcenter("state")["web01"]
        assert (source["power"], source["snapshots"]) == ("poweredOff", [])
        assert "ferry.migration" not in source["extra_config"], "nothing of ours stays"

        [target] = running.pool()["web01"]["disks"]
        running.xapi("flip", vdi=target["snapshot_vdi"], offset=3 * MIB + 7)
        changed = running.ferry("verify", "web01")
        assert changed.returncode == 7
        assert str(3 * MIB) in changed.stdout
