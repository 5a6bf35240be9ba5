"""What decides a disk's transport: the datastore and its version, locks, privileges; told per rung, and then read."""

import itertools
import socket

import pytest

from contracts.errors import FerryError
from simulators.faults import FaultRule
from tests.conformance.test_transports import frozen, lab, on, told
from tests.conformance.test_vsphere_client import client_of, content, read_all
from tests.conformance.vsphere_lab import running_vcenter

__all__ = ["lab"]

BY_FOLDER = [("https", True), ("nfc", True)]
BY_STREAM = [("https", False), ("nfc", True)]


@pytest.mark.parametrize("vmfs", [5, 6])
@pytest.mark.parametrize(
    ("power", "base_readable", "rungs"),
    [("on", False, BY_STREAM), ("on", True, BY_FOLDER), ("off", False, BY_FOLDER)],
    ids=["runs, base locked", "runs, base served", "off"],
)
def test_on_vmfs_of_any_version_the_lock_decides_and_is_tried(lab, vmfs, power, base_readable, rungs):
    store = {"name": "vmfs", "type": "VMFS", "vmfs": vmfs, "base_readable": base_readable}
    simulator, source = lab("vmfs", power=power, datastores=[store])
    machine, freeze = frozen(source, final=power == "off")

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert told(freeze) == rungs
    assert disk.transport == next(name for name, usable in rungs if usable)
    assert ("HTTP 500 (a host holds its lock)" in disk.reason) is (rungs == BY_STREAM)
    assert read_all(disk) == content(simulator)
    disk.close()


@pytest.mark.parametrize("power", ["on", "off"])
@pytest.mark.parametrize("kind", ["vsan", "VVOL"])
def test_what_has_no_files_is_exported_whether_it_runs_or_not(lab, kind, power):
    simulator, source = lab("objects", power=power, datastores=[{"name": "objects", "type": kind}])
    machine, freeze = frozen(source, final=power == "off")

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert told(freeze) == BY_STREAM
    assert "https: its base is no flat file (vSAN, vVol, or sparse)" in disk.reason
    assert read_all(disk) == content(simulator)
    disk.close()


@pytest.mark.parametrize("power", ["on", "off"])
@pytest.mark.parametrize("kind", ["NFS", "NFS41"])
def test_nfs_holds_no_lock_and_its_export_comes_first_where_it_is_named(lab, tmp_path, kind, power):
    exports = {"nas": str(tmp_path / "vsphere" / "nas")}
    simulator, source = lab("nas", power=power, nfs=exports, datastores=[{"name": "nas", "type": kind}])
    machine, freeze = frozen(source, final=power == "off")

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert told(freeze) == [("nfs", True), *BY_FOLDER]
    assert read_all(disk) == content(simulator)


def test_an_nfs_server_that_does_not_answer_is_waited_for_once_and_not_for_each_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("platforms.vsphere.transports.nfs3.OPENING_SECONDS", 0.2)
    disks = [{"size_mib": 1, "datastore": "nas", "unit": unit} for unit in range(3)]
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        running_vcenter(tmp_path, on("nas", disks=disks), datastores=[{"name": "nas", "type": "NFS"}]) as simulator,
    ):
        port = silent.getsockname()[1]
        exports = {"nas": f"nfs://127.0.0.1/gone?nfsport={port}&mountport={port}"}
        source = client_of(simulator, tmp_path, ca_file=tmp_path / "ca.pem", nfs=exports)

        _, freeze = frozen(source)

        assert len(freeze.disks) == 3
        assert all("timed out" in disk.reason and disk.transport == "https" for disk in freeze.disks)
        assert dialled(silent) <= 2


def dialled(listener):
    """How many connections wait to be accepted."""
    listener.settimeout(0.2)
    for count in itertools.count():
        try:
            listener.accept()[0].close()
        except TimeoutError:
            return count


@pytest.mark.parametrize("missing", ["Datastore.Browse", "Datastore.FileManagement"])
def test_without_a_right_to_the_files_folder_is_refused_and_an_export_reads(lab, missing):
    simulator, source = lab("vmfs1", power="off", privileges_missing=[missing])
    machine, freeze = frozen(source, final=True)

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert told(freeze) == BY_STREAM
    assert "https: [vmfs1] web01/web01-flat.vmdk: HTTP 404" in disk.reason
    assert missing in disk.reason
    assert read_all(disk) == content(simulator)
    disk.close()


@pytest.mark.parametrize("missing", ["Datastore.Browse", "Datastore.FileManagement"])
def test_a_right_to_the_files_is_not_needed_for_an_nfs_export(lab, tmp_path, missing):
    exports = {"nfs1": str(tmp_path / "vsphere" / "nfs1")}
    simulator, source = lab("nfs1", nfs=exports, privileges_missing=[missing])
    machine, freeze = frozen(source)

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert told(freeze) == [("nfs", True), ("https", False), ("nfc", True)]
    assert missing in disk.reason
    assert read_all(disk) == content(simulator)


@pytest.mark.parametrize("missing", [["VApp.Export"], ["VApp.Export", "Datastore.FileManagement"]])
def test_without_the_right_to_export_a_locked_disk_is_read_by_nothing_and_each_rung_says_why(lab, missing):
    simulator, source = lab("vmfs1", privileges_missing=missing)

    with pytest.raises(FerryError, match=r"https: .*HTTP \d+ \(.*; nfc: .*VApp\.Export is missing") as refused:
        frozen(source)

    assert refused.value.code == "transport.none"
    assert simulator.state()["web01"]["snapshots"] == []


def test_without_the_right_to_export_what_folder_serves_is_read(lab):
    simulator, source = lab("vmfs1", power="off", privileges_missing=["VApp.Export"])
    machine, freeze = frozen(source, final=True)

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert disk.transport == "https"
    assert read_all(disk) == content(simulator)


def test_a_lock_that_somebody_else_holds_on_a_stopped_machine_is_told_and_gone_around(lab):
    simulator, source = lab("vmfs1", power="off")
    simulator.faults.add(FaultRule("GET /folder", "http", object="web01-flat.vmdk", argument=500, count=-1))
    machine, freeze = frozen(source, final=True)

    disk = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)

    assert told(freeze) == BY_STREAM
    assert "a host holds its lock" in disk.reason
    assert read_all(disk) == content(simulator)
    disk.close()
