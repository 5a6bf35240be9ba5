"""The transport ladder against the simulators: which rung reads what, and what becomes of one that breaks."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from contracts.errors import FerryError
from platforms.vsphere.transports.lease import slot_of
from platforms.vsphere.transports.nfs import MountedFile
from platforms.vsphere.transports.reader import NotServed
from simulators.faults import FaultRule
from simulators.vsphere.leases import note_sent
from tests.conformance.one_migration import one_migration
from tests.conformance.test_vsphere_client import ERRAND, MARK, client_of, content, read_all
from tests.conformance.vsphere_lab import MIB, WEB01, running_vcenter

BLOCK = 256 << 10


def on(store, **more):
    return {**WEB01, "disks": [{"size_mib": 8.00048828125, "datastore": store}], **more}


def frozen(source, *, final=False, pass_no=1):
    machine = source.machine("web01")
    source.claim(machine.machine_id, MARK)
    source.change_tracking_on(machine.machine_id)
    return machine, source.freeze(machine.machine_id, ERRAND, pass_no, final=final)


def told(freeze):
    return [(rung.transport, rung.usable) for rung in freeze.disks[0].ladder]


@pytest.fixture
def lab(tmp_path):
    """A vCenter of one machine with random bytes on a datastore of that name, and a client."""
    opened = []

    def make(store, *, nfs=None, **more):
        said = {key: more.pop(key) for key in ("power",) if key in more}
        context = running_vcenter(tmp_path, on(store, **said), **more)
        simulator = context.__enter__()
        opened.append(context)
        disk = simulator.world.vm("web01").disks[0]
        chance = random.Random(store)
        for at in range(0, disk.capacity - BLOCK, 3 * BLOCK):
            disk.write(at, chance.randbytes(BLOCK // 2) + b"text" * (BLOCK // 8))
        disk.write(disk.capacity - 512, b"z" * 512)
        trust = {"ca_file": tmp_path / "ca.pem"}
        return simulator, client_of(simulator, tmp_path, **trust, **({"nfs": nfs} if nfs else {}))

    yield make
    for context in opened:
        context.__exit__(None, None, None)


@pytest.mark.parametrize("spelling", ["nfs1", "[VMWARE]nfs1", "[VmWare] nfs1"])
def test_an_nfs_datastore_is_read_from_where_it_is_mounted(lab, tmp_path, spelling):
    simulator, source = lab("nfs1", nfs={spelling: str(tmp_path / "vsphere" / "nfs1")})
    machine, freeze = frozen(source)
    at_freeze = content(simulator)
    simulator.do("web01", "write", offset=0, byte=9, length=65536)

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert told(freeze) == [("nfs", True), ("https", True), ("nfc", True)]
    assert disk.transport == "nfs"
    assert read_all(disk) == at_freeze


@pytest.mark.parametrize("store", ["nfs1", "nfs-whole", "nfs-refused"])  # what change tracking tells of holes there
async def test_holes_of_a_mounted_file_are_not_read_and_the_disks_end_equal(tmp_path, monkeypatch, store):
    reads = []
    whole = MountedFile.read_into

    def counting(self, offset, buffer):
        reads.append(len(buffer))
        whole(self, offset, buffer)

    with one_migration(tmp_path, size_mib=64, mounted=True, datastore=store) as migration:
        migration.guest.write(20 * MIB + 512, b"data" * 128)
        migration.guest.write(migration.guest.capacity - 512, b"e" * 512)
        await migration.begin()
        monkeypatch.setattr(MountedFile, "read_into", counting)

        report = await migration.sync()

        assert (report.complete, report.transport) == (True, "nfs")
        assert sum(reads) <= 2 * MIB, "two blocks hold something"
        monkeypatch.setattr(MountedFile, "read_into", whole)
        await ends_equal(migration)


@pytest.mark.parametrize("export", [None, "/nowhere/at/all", "nfs://127.0.0.1/gone?nfsport=9&mountport=9"])
def test_a_missing_export_falls_to_the_next_rung_and_says_so(lab, export, monkeypatch):
    monkeypatch.setattr("platforms.vsphere.transports.nfs3.PAUSE", 0.001)
    simulator, source = lab("nfs1", nfs={"nfs1": export} if export else None)
    machine, freeze = frozen(source)

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert told(freeze)[:2] == [("nfs", False), ("https", True)]
    assert disk.transport == "https"
    assert disk.reason.startswith("nfs: ")
    assert (export or "names no export of nfs1").partition("?")[0] in disk.reason
    assert read_all(disk) == content(simulator)


@pytest.mark.parametrize("directory", ["end", "head"])
@pytest.mark.parametrize("store", ["vsan1", "vmfs1"])
def test_vsan_and_locked_vmfs_are_streamed_while_the_machine_runs(lab, store, directory):
    simulator, source = lab(store, nfc_directory=directory)
    machine, freeze = frozen(source)
    at_freeze = content(simulator)
    simulator.do("web01", "write", offset=0, byte=9, length=65536)

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert told(freeze) == [("https", False), ("nfc", True)]
    assert (disk.transport, disk.asks_ahead) == ("nfc", 0)
    assert read_all(disk) == at_freeze
    disk.close()
    assert simulator.counted()["leases"] == {"held": 0, "begun": 2, "completed": 1, "aborted": 1}  # one was the probe


def test_a_stopped_machine_is_streamed_without_a_snapshot(lab):
    simulator, source = lab("vsan1", power="off")
    machine, freeze = frozen(source, final=True)

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert freeze.snapshot is None
    assert read_all(disk) == content(simulator)
    disk.close()
    assert simulator.counted()["leases"]["held"] == 0


def test_a_stream_is_passed_over_up_to_what_is_wanted_and_begun_anew_for_what_lies_behind(lab):
    simulator, source = lab("vsan1")
    machine, freeze = frozen(source)
    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
    whole, piece = content(simulator), bytearray(MIB)

    for offset in (5 * MIB, 6 * MIB, MIB, 7 * MIB):
        disk.read_into(offset, memoryview(piece))
        assert piece == whole[offset : offset + MIB]
    disk.close()


@pytest.mark.parametrize("action", ["drop", "truncate"])
def test_a_stream_that_breaks_begins_anew_and_a_short_one_is_not_believed(lab, action, monkeypatch):
    monkeypatch.setattr("platforms.vsphere.transports.nfc.PAUSE", 0.01)
    simulator, source = lab("vsan1")
    machine, freeze = frozen(source)
    simulator.faults.add(FaultRule("GET /nfc", action=action, argument=2 * MIB, count=2))
    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert read_all(disk) == content(simulator)
    disk.close()


async def test_a_stream_whose_manifest_disagrees_is_not_believed_and_all_of_it_is_sent_again(tmp_path, monkeypatch):
    with one_migration(tmp_path, size_mib=16, datastore="vsan1") as migration:
        fill(migration)
        migration.segment_bytes = 3 * MIB
        await migration.begin()
        freeze = await migration.freeze()
        with monkeypatch.context() as spoilt:
            spoilt.setattr(
                "simulators.vsphere.nfc.note_sent",
                lambda lease, number, size, digest, populated: note_sent(lease, number, size + 512, digest, populated),
            )
            with pytest.raises(Exception, match=r"the host sent \d+ bytes, \d+ came") as told:
                await migration.copy(freeze)
        sent = migration.pool.pool.stats.bytes_written
        await migration.seal(freeze, complete=False)
        report = await migration.sync()

        assert (told.value.type, told.value.non_retryable) == ("vsphere.stream_disbelieved", True)
        assert sent > 0
        assert report.complete
        assert report.bytes_sent >= sent, "nothing of it is believed"
        await ends_equal(migration)


def test_a_lease_is_kept_alive_while_nothing_is_read(tmp_path, monkeypatch):
    vm = on("vsan1")
    with running_vcenter(tmp_path, vm, speed=400) as simulator:  # 300 lab seconds are three quarters of one of ours
        source = client_of(simulator, tmp_path)
        machine, freeze = frozen(source)
        monkeypatch.setattr("platforms.vsphere.transports.lease.KEEP_SECONDS", 0.1)
        disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
        piece = bytearray(MIB)
        disk.read_into(0, memoryview(piece))
        time.sleep(2.0)  # eight hundred lab seconds
        disk.read_into(MIB, memoryview(piece))

        assert simulator.counted()["leases"]["begun"] == 2
        disk.close()
        source.close()


def test_a_lease_that_is_lost_is_taken_again(lab):
    simulator, source = lab("vsan1")
    machine, freeze = frozen(source)
    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
    piece = bytearray(MIB)
    disk.read_into(0, memoryview(piece))
    for lease in list(simulator.world.leases._held.values()):
        lease.timed_out = True
    disk.close()

    again = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
    assert read_all(again) == content(simulator)
    again.close()


def test_disks_of_one_machine_share_a_lease(tmp_path):
    vm = {**WEB01, "disks": [{**disk, "datastore": "vsan1"} for disk in WEB01["disks"]]}
    with running_vcenter(tmp_path, vm) as simulator:
        source = client_of(simulator, tmp_path)
        machine, freeze = frozen(source)
        begun = simulator.counted()["leases"]["begun"]
        disks = [source.open_disk(machine.machine_id, freeze, each.disk_id) for each in machine.disks]
        assert [read_all(disk) for disk in disks] == [content(simulator, 0), content(simulator, 1)]
        for disk in disks:
            disk.close()

        assert simulator.counted()["leases"]["begun"] == begun + 1
        assert simulator.counted()["leases"]["held"] == 0


def test_a_lease_that_is_long_in_coming_keeps_nobody_from_that_of_another_machine(tmp_path):
    other = {**on("vsan1"), "name": "web02", "nics": []}
    with running_vcenter(tmp_path, on("vsan1"), other) as simulator, ThreadPoolExecutor(1) as apart:
        source = client_of(simulator, tmp_path)
        opened = []
        for name in ("web01", "web02"):
            machine = source.machine(name)
            source.claim(machine.machine_id, MARK)
            freeze = source.freeze(machine.machine_id, ERRAND, 1, final=False)
            opened.append((machine.machine_id, freeze, machine.disks[0].disk_id))
        simulator.faults.add(FaultRule("ExportSnapshot", delay=4.0))
        slow = apart.submit(source.open_disk, *opened[0])
        while not simulator.faults.listed()[0]["struck"]:
            time.sleep(0.02)

        began = time.monotonic()
        source.open_disk(*opened[1]).close()
        took = time.monotonic() - began
        slow.result().close()

    assert took < 3.0


def test_what_is_opened_after_a_cut_is_hung_up_as_well(lab):
    _, source = lab("nfs1")
    machine, freeze = frozen(source)
    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
    disk.hang_up()

    assert disk.step_down(FerryError("vsphere.read_failed", "it was hung up"))
    with pytest.raises(FerryError, match="hung up"):
        disk.read_into(0, memoryview(bytearray(512)))
    disk.close()


def test_an_export_that_lacks_the_disk_is_given_back(lab, monkeypatch):
    simulator, source = lab("vsan1")
    machine, freeze = frozen(source)
    monkeypatch.setattr("simulators.vsphere.leases.Leases.key", staticmethod(lambda machine, number: "/vm-100/nvram"))

    with pytest.raises(FerryError, match=r"has no disk scsi0:0"):
        source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert simulator.counted()["leases"]["held"] == 0


def test_without_the_privilege_nothing_reads_it_and_each_rung_says_why(tmp_path):
    with running_vcenter(tmp_path, on("vsan1"), privileges_missing=["VApp.Export"]) as simulator:
        source = client_of(simulator, tmp_path)
        with pytest.raises(Exception, match=r"https: .*no flat file.*nfc: .*VApp\.Export") as refused:
            frozen(source)

        assert refused.value.code == "transport.none"
        assert simulator.state()["web01"]["snapshots"] == []


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        ("/vm-4681/ParaVirtualSCSIController0:0", "scsi0:0"), ("/vm-1/VirtualLsiLogicSASController1:15", "scsi1:15"),
        ("/vm-1/VirtualIDEController1:0", "ide1:0"), ("/vm-1/VirtualAHCIController0:2", "sata0:2"),
        ("/vm-1/VirtualNVMEController0:1", "nvme0:1"), ("/vm-1/nvram", ""), ("disk-0", ""),
    ],
)  # fmt: skip
def test_a_disk_of_a_lease_is_known_by_its_controller(key, slot):
    assert slot_of(key) == slot


async def ends_equal(migration):
    await migration.power_off()
    await migration.sync(final=True)
    verdict = await migration.verdict()
    assert (verdict.equal, verdict.target_is_sent, verdict.target_is_source) == (True, True, True)


def fill(migration, size_mib=16):
    chance = random.Random(4)
    for at in range(0, size_mib * MIB, 2 * MIB):
        migration.guest.write(at, chance.randbytes(MIB + 4096))
    return sum(1 for _ in range(0, size_mib * MIB, 2 * MIB)) * (MIB + (64 << 10))


async def test_folder_that_fails_in_mid_pass_gives_way_to_the_stream_and_nothing_is_sent_twice(tmp_path):
    with one_migration(tmp_path, size_mib=16) as migration:
        allocated = fill(migration)
        await migration.begin()
        migration.vcenter.faults.add(FaultRule("GET /folder", action="http", argument=404, skip=6, count=-1))

        report = await migration.sync()

        assert report.complete
        assert report.transport == "nfc"
        assert "https was given up: [nfs1] web01/web01-flat.vmdk: HTTP 404" in report.transport_reason
        assert report.bytes_sent <= allocated
        assert report.bytes_sent_again == 0
        migration.vcenter.faults.clear()
        await ends_equal(migration)


async def test_a_mount_that_goes_away_in_mid_pass_gives_way_to_folder(tmp_path, monkeypatch):
    reads = []
    whole = MountedFile.read_into

    def breaking(self, offset, buffer):
        reads.append(offset)
        if len(reads) > 4:
            raise NotServed("Stale file handle")
        whole(self, offset, buffer)

    with one_migration(tmp_path, size_mib=16, mounted=True) as migration:
        fill(migration)
        await migration.begin()
        monkeypatch.setattr(MountedFile, "read_into", breaking)

        report = await migration.sync()

        assert (report.complete, report.transport, report.bytes_sent_again) == (True, "https", 0)
        assert "nfs was given up: Stale file handle" in report.transport_reason
        monkeypatch.setattr(MountedFile, "read_into", whole)
        await ends_equal(migration)


@pytest.mark.parametrize("store", ["vmfs1", "vsan1"])
async def test_a_migration_by_streams_alone_ends_equal_and_its_deltas_send_what_changed(tmp_path, store):
    with one_migration(tmp_path, size_mib=16.00048828125, datastore=store) as migration:
        fill(migration)
        migration.segment_bytes = 3 * MIB  # several segments from one stream
        await migration.begin()
        first = await migration.sync()
        migration.guest.write(5 * MIB, b"new" * 4096 + bytes(4096))
        migration.guest.write(migration.guest.capacity - 512, b"e" * 512)
        exports = migration.vcenter.counted()["leases"]["begun"]
        second = await migration.sync()

        assert (first.kind, first.transport, second.kind, second.transport) == ("initial", "nfc", "delta", "nfc")
        assert second.bytes_sent <= 3 * 64 << 10
        assert migration.vcenter.counted()["leases"]["begun"] == exports + 2  # the probe's, and one stream
        await ends_equal(migration)


async def test_a_stream_that_breaks_for_good_ends_the_attempt_with_what_came_durable(tmp_path, monkeypatch):
    monkeypatch.setattr("platforms.vsphere.transports.nfc.PAUSE", 0.01)
    with one_migration(tmp_path, size_mib=16, datastore="vsan1") as migration:
        fill(migration)
        await migration.begin()
        migration.vcenter.faults.add(FaultRule("GET /nfc", action="drop", argument=5 * MIB, count=-1))
        freeze = await migration.freeze()

        with pytest.raises(Exception, match="the stream broke 4 times"):
            await migration.copy(freeze)

        durable = migration.standing().position
        assert durable > 2 * MIB
        migration.vcenter.faults.clear()
        report = await migration.copy(freeze)
        await migration.seal(freeze, complete=report.complete)
        assert (report.complete, report.bytes_sent_again) == (True, 0)
        await ends_equal(migration)
