"""Our vSphere client against the simulator, over TLS: what it finds, freezes, reads, and refuses."""

import hashlib
import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest

from contracts.config import SourceConfig
from contracts.errors import FerryError
from contracts.machine import OwnerMark, Power
from contracts.steps import Errand
from disks.extents import Extent, total
from platforms.vsphere.changes import changed_areas
from platforms.vsphere.source import VsphereSource
from simulators.faults import FaultRule
from simulators.outages import Outage
from tests.conformance.vsphere_lab import MIB, PASSWORD, WEB01, running_vcenter

ERRAND = Errand(migration="0123456789abcdef", workflow="migrate/vc/web01", source="vc", target="pool", vm="web01")
MARK = ERRAND.mark()


def client_of(simulator, folder, **more):
    secret = folder / "password"
    secret.write_text(more.pop("password", PASSWORD) + "\n")
    trust = more or {"ca_file": folder / "ca.pem"}
    return VsphereSource(
        "vc", SourceConfig(url=simulator.url, username=simulator.said.user, password=f"file:{secret}", **trust)
    )


@pytest.fixture
def vcenter(tmp_path):
    with running_vcenter(tmp_path) as simulator:
        yield simulator


@pytest.fixture
def source(vcenter, tmp_path):
    made = client_of(vcenter, tmp_path)
    yield made
    made.close()


@pytest.fixture
def machine(source):
    """Marked as ours: nothing freezes a machine that is not."""
    found = source.machine("web01")
    source.claim(found.machine_id, MARK)
    return found


def refused(work, *args, **more):
    with pytest.raises(FerryError) as told:
        work(*args, **more)
    return told.value.code


def content(simulator, number=0):
    disk = simulator.world.vm("web01").disks[number]
    return disk.read(0, disk.capacity)


def read_all(disk):
    buffer = bytearray(disk.capacity)
    disk.read_into(0, memoryview(buffer))
    return bytes(buffer)


def test_a_machine_is_told_whole(machine):
    assert (machine.name, machine.firmware, machine.cpus, machine.memory) == ("web01", "uefi", 2, 2 << 30)
    assert [(disk.slot, disk.capacity, disk.datastore_type) for disk in machine.disks] == [
        ("scsi0:0", 8 * MIB + 512, "NFS"),
        ("scsi0:1", 4 * MIB, "NFS"),
    ]
    assert [(nic.mac, nic.network) for nic in machine.nics] == [("00:50:56:aa:00:01", "VM Network")]
    assert machine.power is Power.ON


def test_a_machine_is_found_by_name_uuid_and_moref_and_an_unknown_one_is_refused(source, machine):
    assert source.machine(machine.machine_id).ref == source.machine(machine.ref).ref == machine.ref
    assert refused(source.machine, "nobody") == "vm.unknown"
    assert [line.name for line in source.machines()] == ["web01"]


def test_two_of_one_name_are_ambiguous(tmp_path):
    twins = [WEB01, {**WEB01, "folder": "other", "disks": []}]
    with running_vcenter(tmp_path, *twins) as simulator:
        assert refused(client_of(simulator, tmp_path).machine, "web01") == "vm.ambiguous"


def test_a_wrong_password_is_tried_once_and_not_ten_times(vcenter, tmp_path):
    source = client_of(vcenter, tmp_path, password="wrong", ca_file=tmp_path / "ca.pem")

    codes = {refused(source.machine, "web01") for _ in range(10)}

    assert codes == {"vsphere.login_refused"}
    assert vcenter.sessions.refused == 1


def test_the_right_pin_is_trusted_and_another_is_not(vcenter, tmp_path):
    host = vcenter.url.removeprefix("https://").partition(":")[0]
    leaf = ssl.PEM_cert_to_DER_cert((tmp_path / f"{host}.pem").read_text())
    pin = hashlib.sha256(leaf).hexdigest()

    assert client_of(vcenter, tmp_path, tls_sha256=[pin]).check().startswith("VMware vCenter Server")
    assert refused(client_of(vcenter, tmp_path, tls_sha256=["00" * 32]).check) == "vsphere.certificate"
    assert refused(client_of(vcenter, tmp_path, tls_sha256=[], ca_file=None).check) == "vsphere.certificate"


def test_a_frozen_disk_reads_as_it_was_while_the_guest_writes_on(vcenter, source, machine):
    source.change_tracking_on(machine.machine_id)
    vcenter.do("web01", "write", offset=8 * MIB, byte=3, length=512)
    at_freeze = content(vcenter)
    freeze = source.freeze(machine.machine_id, ERRAND, 1, final=False)
    vcenter.do("web01", "write", offset=0, byte=9, length=65536)

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert read_all(disk) == at_freeze
    assert disk.allocated() == [Extent(8 * MIB, 8 * MIB + 512)]
    source.check_freeze(machine.machine_id, freeze)
    disk.close()


def test_changes_since_a_landmark_are_told_after_its_snapshot_is_gone(vcenter, source, machine):
    source.change_tracking_on(machine.machine_id)
    first = source.freeze(machine.machine_id, ERRAND, 1, final=False)
    source.thaw(machine.machine_id, ERRAND.migration)
    assert vcenter.state()["web01"]["snapshots"] == []
    vcenter.do("web01", "write", offset=3 * 65536, byte=9, length=4096)
    second = source.freeze(machine.machine_id, ERRAND, 2, final=False)

    disk = source.open_disk(machine.machine_id, second, machine.disks[0].disk_id)

    assert disk.changed_since(first.disks[0].change_id) == [Extent(3 * 65536, 4 * 65536)]


def test_more_changes_than_one_answer_holds_are_all_told(tmp_path):
    big = {**WEB01, "disks": [{"size_mib": 400, "datastore": "nfs1"}], "change_tracking": True}
    with running_vcenter(tmp_path, big) as simulator:
        source = client_of(simulator, tmp_path)
        machine = source.machine("web01")
        source.claim(machine.machine_id, MARK)
        first = source.freeze(machine.machine_id, ERRAND, 1, final=False)
        source.thaw(machine.machine_id, ERRAND.migration)
        for number in range(2500):
            simulator.do("web01", "write", offset=number * 2 * 65536, byte=1, length=512)
        second = source.freeze(machine.machine_id, ERRAND, 2, final=False)
        disk = source.open_disk(machine.machine_id, second, machine.disks[0].disk_id)

        changed = disk.changed_since(first.disks[0].change_id)

        assert (len(changed), total(changed)) == (2500, 2500 * 65536)


def test_tracking_that_was_reset_is_not_believed(vcenter, source, machine):
    source.change_tracking_on(machine.machine_id)
    first = source.freeze(machine.machine_id, ERRAND, 1, final=False)
    source.thaw(machine.machine_id, ERRAND.migration)
    vcenter.do("web01", "reset-tracking")
    second = source.freeze(machine.machine_id, ERRAND, 2, final=False)
    disk = source.open_disk(machine.machine_id, second, machine.disks[0].disk_id)

    assert refused(disk.changed_since, first.disks[0].change_id) == "vsphere.change_tracking_unusable"


@pytest.mark.parametrize(
    ("begin", "length", "areas"),
    [(0, 0, []), (4096, 65536, []), (0, 65536, [(65536 * 9, 10)]), (0, 65536, [(100, 10), (50, 10)])],
)
def test_answers_that_talk_nonsense_are_not_believed(begin, length, areas):
    told = SimpleNamespace(
        startOffset=begin,
        length=length,
        changedArea=[SimpleNamespace(start=start, length=size) for start, size in areas],
    )

    assert refused(changed_areas, lambda start, change_id: told, "x/1", 65536) == "vsphere.change_tracking_unusable"


def test_change_tracking_that_we_switched_on_is_switched_off_and_that_which_was_on_stays(tmp_path):
    machines = [{**WEB01, "name": "off"}, {**WEB01, "name": "on", "change_tracking": True}]
    with running_vcenter(tmp_path, *machines) as simulator:
        source = client_of(simulator, tmp_path)
        for name, was_off in (("off", True), ("on", False)):
            machine_id = source.machine(name).machine_id
            assert source.change_tracking_on(machine_id) is was_off
            assert source.change_tracking_on(machine_id) is was_off  # a second attempt answers the same
            source.change_tracking_off(machine_id)

        assert {name: told["change_tracking"] for name, told in simulator.state().items()} == {"off": False, "on": True}


def test_a_page_in_place_of_an_answer_is_tried_again_by_the_step(vcenter, source, machine):
    vcenter.gate.begin(Outage("http", count=-1, argument=500))

    assert refused(source.machine, "web01") == "vsphere.unreachable"


def test_what_began_change_tracking_is_gone_when_it_is_switched_off(tmp_path):
    with running_vcenter(tmp_path, {**WEB01, "power": "on"}) as vcenter:
        source = client_of(vcenter, tmp_path)
        web01 = source.machine("web01")
        source.claim(web01.machine_id, MARK)
        vcenter.faults.add(FaultRule("RemoveSnapshot_Task", "fault", argument="RestrictedVersion"))
        assert refused(source.change_tracking_on, web01.machine_id) == "vsphere.licence"
        assert vcenter.state()["web01"]["snapshots"]

        source.change_tracking_off(web01.machine_id)

        assert not vcenter.state()["web01"]["snapshots"]
        assert not vcenter.state()["web01"]["change_tracking"]
        source.close()


def test_a_second_attempt_adopts_the_snapshot_of_the_first(vcenter, source, machine):
    first = source.freeze(machine.machine_id, ERRAND, 1, final=False)

    again = source.freeze(machine.machine_id, ERRAND, 1, final=False)

    assert again.snapshot == first.snapshot
    assert len(vcenter.state()["web01"]["snapshots"]) == 1


def test_a_freeze_removes_an_older_snapshot_of_ours_before_it_makes_its_own(vcenter, source, machine):
    source.freeze(machine.machine_id, ERRAND, 1, final=False)

    source.freeze(machine.machine_id, ERRAND, 2, final=False)

    assert vcenter.state()["web01"]["snapshots"] == ["ferry-01234567-p2"]


def test_somebody_elses_snapshot_is_read_through_and_never_removed(vcenter, source, machine):
    vcenter.do("web01", "snapshot", name="nightly backup")

    frozen = source.freeze(machine.machine_id, ERRAND, 1, final=False)

    assert len(frozen.foreign) == 1
    assert {disk.transport for disk in frozen.disks} == {"nfc"}
    assert "its chain has 3 links" in frozen.disks[0].reason
    source.check_freeze(machine.machine_id, frozen)
    source.thaw(machine.machine_id, ERRAND.migration)
    assert vcenter.state()["web01"]["snapshots"] == ["nightly backup"]
    assert source.machine("web01").foreign_snapshots == ("nightly backup",)


def test_a_pass_that_is_robbed_of_its_snapshot_is_void(vcenter, source, machine):
    freeze = source.freeze(machine.machine_id, ERRAND, 1, final=False)
    found = vcenter.world.vm("web01")
    found.drop_snapshot(found.all_snapshots()[0])

    assert refused(source.check_freeze, machine.machine_id, freeze) == "vsphere.freeze_void"


@pytest.mark.parametrize("store", ["vmfs1", "vsan1"])
def test_a_disk_that_nothing_serves_is_thawed_and_nothing_is_changed(tmp_path, store):
    machine_said = {**WEB01, "disks": [{"size_mib": 1, "datastore": store}]}
    with running_vcenter(tmp_path, machine_said, privileges_missing=["VApp.Export"]) as simulator:
        source = client_of(simulator, tmp_path)
        machine_id = source.machine("web01").machine_id
        source.claim(machine_id, MARK)

        assert refused(source.freeze, machine_id, ERRAND, 1, final=False) == "transport.none"
        assert simulator.state()["web01"]["snapshots"] == []


def test_a_machine_that_is_no_longer_ours_is_not_frozen(vcenter, source, machine):
    source.release(machine.machine_id, MARK.migration)

    assert refused(source.freeze, machine.machine_id, ERRAND, 1, final=False) == "source.stale_epoch"
    assert vcenter.state()["web01"]["snapshots"] == []


def test_a_fence_that_was_overtaken_between_look_and_call_is_refused_by_vsphere(vcenter, source, machine):
    vcenter.do("web01", "power", state="off")
    real = source.session.call

    def overtaken(doing, work, **more):
        if "NICs" in doing:
            vcenter.world.vm("web01").config_version += 1
        return real(doing, work, **more)

    source.session.call = overtaken

    assert refused(source.fence, machine.machine_id, MARK) == "vsphere.busy"
    assert vcenter.world.vm("web01").start_connected == {4000: True}


def test_the_last_freeze_of_a_machine_that_is_off_needs_no_snapshot(vcenter, source, machine):
    source.claim(machine.machine_id, MARK)
    source.change_tracking_on(machine.machine_id)
    first = source.freeze(machine.machine_id, ERRAND, 1, final=False)
    source.thaw(machine.machine_id, ERRAND.migration)
    vcenter.do("web01", "write", offset=0, byte=5, length=512)
    assert refused(source.freeze, machine.machine_id, ERRAND, 2, final=True) == "vsphere.powered_on_again"
    source.power_off(machine.machine_id, MARK)

    last = source.freeze(machine.machine_id, ERRAND, 2, final=True)

    disk = source.open_disk(machine.machine_id, last, machine.disks[0].disk_id)
    assert last.snapshot is None
    assert disk.changed_since(first.disks[0].change_id) == [Extent(0, 65536)]
    assert read_all(disk) == content(vcenter)
    vcenter.do("web01", "power", state="on")
    assert refused(source.check_freeze, machine.machine_id, last) == "vsphere.powered_on_again"


def test_a_machine_without_change_tracking_is_read_whole_when_it_is_off(tmp_path):
    with running_vcenter(tmp_path, {**WEB01, "power": "off", "change_tracking_supported": False}) as simulator:
        source = client_of(simulator, tmp_path)
        machine = source.machine("web01")
        freeze = source.freeze(machine.machine_id, ERRAND, 1, final=True)

        disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

        assert not machine.change_tracking_supported
        assert disk.allocated() == [Extent(0, disk.capacity)]
        assert freeze.disks[0].change_id == ""


def test_an_owner_is_marked_once_and_another_is_told_who_it_is(source, machine):
    source.claim(machine.machine_id, MARK)
    source.claim(machine.machine_id, MARK)
    other = OwnerMark(migration="other", workflow="migrate/else/web01")

    with pytest.raises(FerryError) as told:
        source.claim(machine.machine_id, other)

    assert told.value.code == "vm.already_migrating"
    assert "migrate/vc/web01" in told.value.message
    source.release(machine.machine_id, "other")
    assert source.machine("web01").owner == MARK
    source.release(machine.machine_id, MARK.migration)
    assert source.machine("web01").owner is None


def test_a_step_that_a_rollback_overtook_is_not_carried_out(vcenter, source, machine):
    source.claim(machine.machine_id, MARK)
    source.raise_epoch(machine.machine_id, ERRAND.mark(1))

    assert refused(source.power_off, machine.machine_id, MARK) == "source.stale_epoch"
    assert refused(source.shut_down_guest, machine.machine_id, MARK) == "source.stale_epoch"
    assert refused(source.fence, machine.machine_id, MARK) == "source.stale_epoch"
    assert vcenter.state()["web01"]["power"] == "poweredOn"
    source.power_off(machine.machine_id, ERRAND.mark(1))
    assert source.power(machine.machine_id) is Power.OFF
    source.power_on(machine.machine_id, ERRAND.mark(1))
    assert source.power(machine.machine_id) is Power.ON


def test_the_fence_disconnects_nics_at_start_and_knows_its_way_back_without_the_journal(vcenter, source, machine):
    from contracts.steps import FenceJournal

    source.claim(machine.machine_id, MARK)
    journal = source.fence(machine.machine_id, MARK)
    assert vcenter.world.vm("web01").start_connected == {4000: False}
    assert source.fence(machine.machine_id, MARK) == journal  # a second attempt tells the same

    source.unfence(machine.machine_id, FenceJournal(), MARK)

    assert vcenter.world.vm("web01").start_connected == {4000: True}


def test_a_session_that_ends_is_renewed_in_silence(vcenter, source, machine):
    freeze = source.freeze(machine.machine_id, ERRAND, 1, final=False)
    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
    vcenter.sessions.end_all()

    assert read_all(disk) == content(vcenter)
    vcenter.sessions.end_all()
    assert source.machine("web01").name == "web01"
    assert vcenter.sessions.logins == 3


@pytest.mark.parametrize("rule", [
    FaultRule("GET /folder", "http", argument=503, count=2, skip=4),
    FaultRule("GET /folder", "drop", argument=100_000, count=2, skip=4),
])  # fmt: skip
def test_reads_survive_bursts_of_trouble(vcenter, source, machine, rule):
    freeze = source.freeze(machine.machine_id, ERRAND, 1, final=False)
    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
    vcenter.faults.add(rule)

    assert read_all(disk) == content(vcenter)


def test_a_server_that_ignores_ranges_is_never_believed(vcenter, source, machine):
    freeze = source.freeze(machine.machine_id, ERRAND, 1, final=False)
    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
    vcenter.faults.add(FaultRule("GET /folder", "no-range", count=-1))

    assert refused(disk.read_into, 0, memoryview(bytearray(4096))) == "vsphere.read_failed"


def test_a_missing_privilege_is_named(tmp_path):
    lacking = ["VirtualMachine.State.CreateSnapshot"]
    with running_vcenter(tmp_path, privileges_missing=lacking) as simulator:
        source = client_of(simulator, tmp_path)
        machine_id = source.machine("web01").machine_id
        source.claim(machine_id, MARK)
        with pytest.raises(FerryError, match=r"VirtualMachine\.State\.CreateSnapshot") as told:
            source.freeze(machine_id, ERRAND, 1, final=False)

    assert told.value.code == "vsphere.no_permission"


def test_one_session_serves_everything(vcenter, source, machine):
    source.change_tracking_on(machine.machine_id)
    freeze = source.freeze(machine.machine_id, ERRAND, 1, final=False)
    for disk in machine.disks:
        read_all(source.open_disk(machine.machine_id, freeze, disk.disk_id))
    source.thaw(machine.machine_id, ERRAND.migration)

    assert vcenter.sessions.most == 1
    source.close()
    assert vcenter.sessions.count() == 0


def test_no_message_holds_the_password(vcenter, tmp_path):
    source = client_of(vcenter, tmp_path, password="sesame-open", ca_file=tmp_path / "ca.pem")
    with pytest.raises(FerryError) as told:
        source.check()

    assert "sesame-open" not in str(told.value)
    assert Path(tmp_path / "password").exists()


TAGGED = {**WEB01, "tags": ["shop", "prod"]}


def test_tags_are_carried_and_the_rest_session_is_given_back(tmp_path):
    with running_vcenter(tmp_path, TAGGED) as vcenter:
        source = client_of(vcenter, tmp_path)

        machine = source.machine("web01")

        assert (machine.tags, machine.tags_unread) == (("prod", "shop"), "")
        assert vcenter.rest.open == 0
        source.close()


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_tags_that_cannot_be_read_are_told_and_stop_nothing(tmp_path, status):
    with running_vcenter(tmp_path, TAGGED) as vcenter:
        source = client_of(vcenter, tmp_path)
        vcenter.faults.add(FaultRule(method="REST", action="http", argument=status))

        machine = source.machine("web01")

        assert (machine.tags, machine.tags_unread) == ((), f"HTTP {status}")
        source.close()


def test_a_bare_host_has_no_tags_and_is_not_asked(tmp_path):
    with running_vcenter(tmp_path, TAGGED, kind="esxi") as host:
        source = client_of(host, tmp_path)
        host.faults.add(FaultRule(method="REST", action="http", argument=500))

        assert source.machine("web01").tags_unread == ""
        source.close()
