"""What comes beside a migration and after its start, by the real programs and the words that an operator types."""

import json
import socket
from pathlib import Path

import pytest

from tests.crash.judging import both_on, equal
from tests.end_to_end.running import programs

MIB = 1 << 20
INVENTORY = """
vsphere:
  datastores: [{name: nfs1, type: NFS}]
  vms:
"""
MACHINE = """
    - name: NAME
      power: on
      nics: [{network: VM Network, mac: "00:50:56:aa:00:NUMBER"}]
      disks: [{size_mib: 8, datastore: nfs1}]
      guest: {tools: running, writes_mib_per_s: 0.5, writes_span_mib: 4, shutdown_seconds: 0.2}
"""
POOL = """
xcpng:
  guest_address: 127.0.0.1
  srs: [{name: local-ext, type: ext, size_gib: 64}, {name: nas, type: nfs, size_gib: 64}]
  networks: [{name: lan}]
"""
WAITS, CONFLICT = 5, 9
SMOKED, RETIRED, TESTED, COPIED = "web01", "web02", "web03", "web04"


class Operator:
    def __init__(self, running):
        self.running = running

    def say(self, *words, ends=0):
        ended = self.running.ferry(*words)
        assert ended.returncode == ends, f"{words} ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout + ended.stderr

    def shown(self, vm):
        ended = self.running.ferry("status", vm, "-o", "json")
        return json.loads(ended.stdout) if ended.stdout.strip() else {}

    def until(self, vm, wanted):
        self.running.until(lambda: wanted(self.shown(vm)), "worker", 60)

    def ended(self, vm):
        self.until(vm, lambda seen: seen.get("report"))
        return self.shown(vm)["report"]

    def source(self, name):
        return self.running.vcenter("state")[name]

    def judged(self, vm):
        """Its disk is what the source was at power-off."""
        [disk] = self.running.pool()[vm]["disks"]
        file = self.running.state / f"vsphere/nfs1/{vm}/{vm}-flat.vmdk"
        assert equal(file, Path(disk["snapshot_file"]))

    def loose(self):
        left = self.running.xapi("left")
        return [each for kind in left.values() for each in kind]


@pytest.fixture(scope="module")
def operator(tmp_path_factory, dev_server):
    folder = tmp_path_factory.mktemp("after")
    machines = "".join(
        MACHINE.replace("NAME", name).replace("NUMBER", f"{number:02}")
        for number, name in enumerate((SMOKED, RETIRED, TESTED, COPIED), 1)
    )
    (folder / "inventory.yaml").write_text(INVENTORY + machines + POOL)
    with programs(folder, dev_server.address) as running:
        running.lab(folder / "inventory.yaml")
        running.worker()
        yield Operator(running)


@pytest.fixture(scope="module")
def silent_port():
    """One that nobody listens at, and that nobody else is given meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield str(bound.getsockname()[1])


@pytest.mark.timeout(200)
def test_a_port_that_stays_shut_waits_for_a_human_who_takes_it_as_it_is(operator, silent_port):
    said = operator.say(
        "start", SMOKED, "--approval", "auto", "--smoke-port", silent_port, "--smoke-within", "8s", "--wait", ends=WAITS
    )
    assert "smoke.failed" in said
    assert f"port {silent_port} is not open" in said
    operator.say("status", SMOKED, ends=WAITS)

    operator.say("retry", SMOKED, "--accept", "--who", "ann", "--note", "nothing listens there, by design")

    report = operator.ended(SMOKED)
    assert report["outcome"] == "done"
    [smoke] = [each for each in report["smoke_tests"] if each["accepted_by"]]
    assert smoke["accepted_by"] == "ann"
    operator.judged(SMOKED)
    assert not both_on(operator.source(SMOKED)["power_log"], operator.running.xapi("power"))


@pytest.mark.timeout(200)
def test_disks_of_what_was_migrated_go_to_another_sr_while_it_runs(operator):
    """After the test before: its VM runs in the pool."""
    [before] = operator.running.pool()[SMOKED]["disks"]
    assert "local-ext" in before["file"]

    operator.say("move-disk", SMOKED, "--sr", "nas", "--who", "ann")

    [now] = operator.running.pool()[SMOKED]["disks"]
    assert "/nas/" in now["file"]
    assert operator.running.pool()[SMOKED]["power_state"] == "Running"
    assert "was there" in operator.say("move-disk", SMOKED, "--sr", "nas")
    assert "move.refused" in operator.say("move-disk", SMOKED, "--sr", "nowhere", ends=CONFLICT)


@pytest.mark.timeout(200)
def test_after_its_probation_the_source_is_renamed_and_goes_only_where_it_is_named_again(operator):
    operator.say("start", RETIRED, "--approval", "auto", "--probation", "10s", "--wait")

    report = operator.ended(RETIRED)
    assert report["outcome"] == "done"
    name = report["retired_as"]
    assert name.startswith(RETIRED)
    assert name != RETIRED
    sources = operator.running.vcenter("state")
    assert RETIRED not in sources
    assert sources[name]["power"] == "poweredOff"
    operator.judged(RETIRED)

    for wrong in (("--confirm", RETIRED), ()):
        assert "retire.refused" in operator.say("retire", RETIRED, "--remove", *wrong, "--who", "ann", ends=CONFLICT)
    assert name in operator.running.vcenter("state")

    operator.say("retire", RETIRED, "--remove", "--confirm", name, "--who", "ann")

    assert name not in operator.running.vcenter("state")
    assert operator.running.pool()[RETIRED]["power_state"] == "Running"


@pytest.mark.timeout(200)
def test_a_test_boots_beside_the_source_and_what_was_cancelled_goes_on_with_what_it_copied(operator):
    operator.say("start", TESTED, "--delta-interval", "1h", "--wait", ends=WAITS)

    told = json.loads(operator.running.ferry("test-boot", TESTED, "--within", "30s", "-o", "json").stdout)

    assert told["outcome"] == "tools-answer"
    assert operator.source(TESTED)["power"] == "poweredOn"
    assert f"{TESTED} (ferry test)" not in operator.running.pool()
    booted = [each[1] for each in operator.running.xapi("power") if each[2] == "Running"]
    assert f"{TESTED} (ferry test)" in booted
    assert TESTED not in booted

    operator.say("cancel", TESTED, "--yes")
    report = operator.ended(TESTED)
    assert report["outcome"] == "cancelled"
    [kept] = report["kept_vdis"]
    assert operator.loose() == [kept], "its data, and nothing else"
    first = report["bytes_sent"]

    operator.say("retry", TESTED, "--from", "initial-sync", "--who", "ann")
    operator.until(TESTED, lambda seen: seen.get("awaits_approval"))
    assert operator.shown(TESTED)["passes"][0]["kind"] == "compare"
    operator.say("approve", TESTED, "--yes", "--who", "ann")

    report = operator.ended(TESTED)
    assert report["outcome"] == "done"
    assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"
    assert [disk["vdi"] for disk in report["disks"]] == [kept]
    assert report["bytes_sent"] < first + 8 * MIB
    operator.judged(TESTED)


@pytest.mark.timeout(200)
def test_a_test_copy_stops_nothing_and_is_not_called_migrated(operator):
    operator.say("start", COPIED, "--test-copy", "--wait")

    report = operator.ended(COPIED)
    assert report["outcome"] == "test-copy"
    source = operator.source(COPIED)
    assert (source["power"], source["snapshots"]) == ("poweredOn", [])
    assert not [key for key in source["extra_config"] if key.startswith("ferry.")]
    [copy] = [vm for name, vm in operator.running.pool().items() if name.startswith(COPIED)]
    assert copy["name"] != COPIED
    assert copy["nics"] == []
    assert copy["power_state"] == "Halted"
