"""The pool's simulator refuses what the real one refuses."""

import hashlib
import http.client
import json
import subprocess
import threading
import time

import pytest
import XenAPI

from tests.conformance.test_xapi_receiver import END, Put
from tests.conformance.xapi_lab import VM_RECORD, connection, logged_in, make_vbd, make_vdi, running_pool
from tests.conftest import require_tool

MIB = 1 << 20


@pytest.fixture
def pool(tmp_path):
    with running_pool(tmp_path) as simulator:
        yield simulator


@pytest.fixture
def session(pool, tmp_path):
    return logged_in(pool, tmp_path)


def refusal(call, *args):
    with pytest.raises(XenAPI.Failure) as refused:
        call(*args)
    return refused.value.details[0]


@pytest.mark.parametrize(
    ("message", "args", "code"),
    [
        ("VM.levitate", (), "MESSAGE_METHOD_UNKNOWN"),
        ("VDI.set_virtual_size", ("OpaqueRef:x", "1"), "MESSAGE_METHOD_UNKNOWN"),
        ("VM.start", ("OpaqueRef:x",), "MESSAGE_PARAMETER_COUNT_MISMATCH"),
        ("VM.get_record", ("OpaqueRef:x",), "HANDLE_INVALID"),
        ("VM.get_by_uuid", ("nobody",), "UUID_INVALID"),
        ("VM.start", ("OpaqueRef:x", "yes", False), "FIELD_TYPE_ERROR"),
    ],
)
def test_a_call_that_the_data_model_does_not_know_is_refused(session, message, args, code):
    cls, _, name = message.partition(".")

    assert refusal(getattr(getattr(session.xenapi, cls), name), *args) == code


def test_a_create_record_without_a_required_field_is_refused(session):
    record = {key: value for key, value in VM_RECORD.items() if key != "HVM_boot_policy"}

    assert refusal(session.xenapi.VM.create, record) == "FIELD_TYPE_ERROR"


def test_a_wrong_password_and_an_ended_session_are_refused(pool, session, tmp_path):
    session.xenapi.session.logout()
    other = XenAPI.Session(pool.url, transport=session._ServerProxy__transport)

    assert refusal(other.xenapi.login_with_password, "root", "wrong") == "SESSION_AUTHENTICATION_FAILED"
    assert pool.pool.sessions.open() == 0


def test_a_member_sends_the_caller_to_the_coordinator(tmp_path):
    with running_pool(tmp_path, hosts=[{"name": "one"}, {"name": "two"}]) as simulator:
        with pytest.raises(XenAPI.Failure) as refused:
            logged_in(simulator, tmp_path, simulator.urls[1])

        assert refused.value.details == ["HOST_IS_SLAVE", simulator.url.removeprefix("https://")]


def test_a_role_that_is_too_low_is_refused(tmp_path):
    with running_pool(tmp_path, role="vm-operator") as simulator:
        session = logged_in(simulator, tmp_path)

        assert refusal(session.xenapi.VM.create, VM_RECORD) == "RBAC_PERMISSION_DENIED"


def test_blocked_operations_given_to_create_are_dropped_and_set_ones_hold(session):
    vm = session.xenapi.VM.create({**VM_RECORD, "blocked_operations": {"start": "no"}})
    assert session.xenapi.VM.get_blocked_operations(vm) == {}

    session.xenapi.VM.set_blocked_operations(vm, {"start": "still copying"})

    assert refusal(session.xenapi.VM.start, vm, False, False) == "OPERATION_BLOCKED"


def test_a_disk_is_rounded_up_to_two_mebibytes(session):
    vdi = make_vdi(session, 5 * MIB + 512)

    assert session.xenapi.VDI.get_virtual_size(vdi) == str(6 * MIB)


def test_a_disk_larger_than_vhd_can_hold_is_refused(session):
    assert refusal(make_vdi, session, 2041 << 30).startswith("SR_BACKEND_FAILURE")


def test_an_attached_disk_cannot_be_destroyed_and_a_running_vm_cannot_be_started_again(session):
    vdi = make_vdi(session, MIB)
    vm = session.xenapi.VM.create(VM_RECORD)
    make_vbd(session, vm, vdi)
    session.xenapi.VM.start(vm, False, False)

    assert refusal(session.xenapi.VDI.destroy, vdi) == "VDI_IN_USE"
    assert refusal(session.xenapi.VM.start, vm, False, False) == "VM_BAD_POWER_STATE"


def test_a_vm_that_wants_more_memory_than_there_is_does_not_start(session):
    big = str(1 << 50)
    limits = {f"memory_{each}": big for each in ("static_max", "dynamic_max", "dynamic_min", "static_min")}
    vm = session.xenapi.VM.create({**VM_RECORD, **limits})

    assert refusal(session.xenapi.VM.start, vm, False, False) == "HOST_NOT_ENOUGH_FREE_MEMORY"


def test_vbd_and_vif_rules_hold(session):
    vdi = make_vdi(session, MIB)
    vm = session.xenapi.VM.create(VM_RECORD)
    make_vbd(session, vm, vdi)
    network = session.xenapi.network.get_all()[0]
    vif = {"device": "0", "network": network, "VM": vm, "MAC": "nonsense", "MTU": "1500", "other_config": {},
           "qos_algorithm_type": "", "qos_algorithm_params": {}}  # fmt: skip

    assert refusal(make_vbd, session, vm, vdi) == "DEVICE_ALREADY_EXISTS"
    assert refusal(lambda: make_vbd(session, vm, "OpaqueRef:NULL", "3", type="CD", empty=True)) == (
        "VBD_CDS_MUST_BE_READONLY"
    )
    assert refusal(session.xenapi.VIF.create, vif) == "MAC_INVALID"


def test_a_snapshot_keeps_the_bytes_while_the_disk_goes_on(pool, tmp_path, session):
    vdi = make_vdi(session, 4 * MIB)
    vm = session.xenapi.VM.create(VM_RECORD)
    make_vbd(session, vm, vdi)
    for content in (b"a", b"b"):
        put = Put(pool, tmp_path, session, vdi)
        put.record(MIB, content * MIB)
        put.send(END)
        assert put.outcome() == "success"
        if content == b"a":
            session.xenapi.VM.snapshot(vm, "before", [])

    [taken] = session.xenapi.VDI.get_snapshots(vdi)

    assert pool.pool.vdi_file(taken).read_bytes()[MIB : 2 * MIB] == b"a" * MIB
    state = json.loads((pool.pool.folder / "state.json").read_text())
    assert state["vms"][0]["disks"][0]["snapshot_file"] == str(pool.pool.vdi_file(taken))


def test_json_rpc_answers_the_same_with_native_integers(pool, tmp_path, session):
    vdi = make_vdi(session, 4 * MIB)
    door = connection(pool, tmp_path)
    call = {"jsonrpc": "2.0", "id": 1, "method": "VDI.get_virtual_size", "params": [session._session, vdi]}
    door.request("POST", "/jsonrpc", json.dumps(call))

    assert json.loads(door.getresponse().read())["result"] == 4 * MIB


def test_an_exported_vhd_is_the_disk_as_qemu_img_sees_it(pool, tmp_path, session):
    qemu_img = require_tool("qemu-img", "qemu-utils")
    vdi = make_vdi(session, 11 * MIB)
    put = Put(pool, tmp_path, session, vdi)
    put.record(3 * MIB, bytes(range(256)) * 4096)
    put.record(12 * MIB - 512, b"z" * 512)
    put.send(END)
    assert put.outcome() == "success"
    door = connection(pool, tmp_path)
    door.request("GET", f"/export_raw_vdi?vdi={vdi}&format=vhd", headers={"Cookie": f"session_id={session._session}"})
    answer = door.getresponse()
    vhd = tmp_path / "out.vhd"
    vhd.write_bytes(answer.read())

    compared = subprocess.run(
        [qemu_img, "compare", "-f", "vpc", "-F", "raw", vhd, pool.pool.vdi_file(vdi)], capture_output=True, text=True
    )

    assert "identical" in compared.stdout
    assert vhd.stat().st_size < 6 * MIB


def exported(pool, tmp_path, session, vdi, **query):
    """Status, and the body as it came."""
    door = connection(pool, tmp_path)
    words = "&".join(f"{name}={value}" for name, value in {"vdi": vdi, "format": "vhd", **query}.items())
    door.request("GET", f"/export_raw_vdi?{words}", headers={"Cookie": f"session_id={session._session}"})
    answer = door.getresponse()
    try:
        return answer.status, answer.read()
    except (http.client.IncompleteRead, ConnectionResetError):
        return answer.status, b""


def written(pool, tmp_path, session, vdi, offset, data):
    put = Put(pool, tmp_path, session, vdi)
    put.record(offset, data)
    put.send(END)
    assert put.outcome() == "success"


def blocks_in(vhd):
    """Numbers of the blocks in its table."""
    entries = int.from_bytes(vhd[512 + 28 : 512 + 32], "big")
    table = [vhd[1536 + at * 4 : 1540 + at * 4] for at in range(entries)]
    return [number for number, place in enumerate(table) if place != b"\xff" * 4]


def test_against_a_base_only_the_blocks_are_exported_that_the_chains_do_not_share(pool, tmp_path, session):
    vdi = make_vdi(session, 12 * MIB)
    written(pool, tmp_path, session, vdi, 0, b"a" * 4 * MIB)
    base = session.xenapi.VDI.snapshot(vdi, {})
    written(pool, tmp_path, session, vdi, 3 * MIB, bytes(4096))  # zeros are written, and so are there
    between = session.xenapi.VDI.snapshot(vdi, {})
    written(pool, tmp_path, session, vdi, 8 * MIB, b"b" * 4096)
    session.xenapi.VDI.destroy(between)  # its link stays: the disk's own chain goes through it
    taken = session.xenapi.VDI.snapshot(vdi, {})

    status, vhd = exported(pool, tmp_path, session, taken, base=session.xenapi.VDI.get_uuid(base))

    assert status == 200
    assert (vhd[60:64], blocks_in(vhd)) == (b"\0\0\0\4", [1, 4])
    assert vhd[1536 + 512 + 512 :][: 2 * MIB] == pool.pool.vdi_file(taken).read_bytes()[2 * MIB : 4 * MIB]
    assert blocks_in(exported(pool, tmp_path, session, base, base=base)[1]) == []
    assert not session.xenapi.VDI.get_VBDs(base)


@pytest.mark.parametrize("which", ["disk", "base"])
def test_no_difference_is_told_of_what_is_no_vhd(pool, tmp_path, session, which):
    vdis = {
        each: make_vdi(session, 4 * MIB, sm_config={"image-format": "qcow2"} if each == which else {})
        for each in ("disk", "base")
    }
    task = session.xenapi.task.create("export", "")

    exported(pool, tmp_path, session, vdis["disk"], base=vdis["base"], task_id=task)

    assert session.xenapi.task.get_status(task) == "failure"
    assert session.xenapi.task.get_error_info(task)[0] == "INTERNAL_ERROR"


def test_a_base_that_is_not_there_is_refused_at_the_door(pool, tmp_path, session):
    vdi = make_vdi(session, 4 * MIB)

    assert exported(pool, tmp_path, session, vdi, base="nothing")[0] == 400


def test_a_snapshot_on_a_thick_sr_wants_the_room_of_the_disk_once_more(tmp_path):
    with running_pool(tmp_path, srs=[{"name": "thick", "type": "lvm", "size_gib": 0.02}]) as pool:
        session = logged_in(pool, tmp_path)
        vdi = make_vdi(session, 10 * MIB)
        [sr] = session.xenapi.SR.get_all()
        session.xenapi.SR.update(sr)
        assert session.xenapi.SR.get_physical_utilisation(sr) == str(10 * MIB)
        session.xenapi.VDI.snapshot(vdi, {})

        assert refusal(session.xenapi.VDI.snapshot, vdi, {}) == "SR_BACKEND_FAILURE_44"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_checksum_is_the_md5_of_the_whole_device_with_its_padding(pool, tmp_path, session, asynchronous):
    vdi = make_vdi(session, 5 * MIB)
    written(pool, tmp_path, session, vdi, MIB, b"z" * MIB)
    expected = hashlib.md5(bytes(MIB) + b"z" * MIB + bytes(4 * MIB), usedforsecurity=False).hexdigest()

    if asynchronous:
        task = session.xenapi.Async.VDI.checksum(vdi)
        while session.xenapi.task.get_status(task) == "pending":
            assert session.xenapi.task.get_progress(task) in (0.0, 1.0)
        assert session.xenapi.task.get_result(task) == f"<value>{expected}</value>"
    else:
        assert session.xenapi.VDI.checksum(vdi) == expected
    assert not session.xenapi.VDI.get_VBDs(vdi)


def test_writing_while_only_a_reader_holds_the_disk_is_refused(pool, tmp_path, session):
    from simulators.xapi.transfers import attach

    vdi = make_vdi(session, 4 * MIB)
    attach(pool.pool, pool.pool.hosts[0], vdi, "RO")

    put = Put(pool, tmp_path, session, vdi)

    assert put.outcome() == "failure"
    assert session.xenapi.task.get_error_info(put.task)[0] == "VDI_IN_USE"


def test_a_restart_of_the_toolstack_cancels_tasks_and_ends_sessions(pool, session, tmp_path):
    task = session.xenapi.task.create("pending", "")

    pool.restart()

    fresh = logged_in(pool, tmp_path)
    assert fresh.xenapi.task.get_status(task) == "cancelled"


def test_nobody_who_does_not_trust_the_ca_gets_in(pool):
    import ssl

    host, _, port = pool.url.removeprefix("https://").partition(":")
    with pytest.raises(ssl.SSLCertVerificationError):
        http.client.HTTPSConnection(host, int(port), context=ssl.create_default_context()).request("GET", "/")


def test_a_start_and_a_call_that_ends_write_the_state_at_once_and_neither_waits_for_ever(pool):
    inner = pool.pool
    held, other_waits = threading.Event(), threading.Event()

    def start() -> None:  # VM.start writes while it still holds the records
        with inner.db.lock:
            held.set()
            other_waits.wait(5)
            time.sleep(0.2)
            inner.state_file.write()

    starting = threading.Thread(target=start, daemon=True)
    ending = threading.Thread(target=inner.state_file.write, daemon=True)
    starting.start()
    held.wait(5)
    ending.start()
    other_waits.set()

    for each in (starting, ending):
        each.join(5)
        assert not each.is_alive(), "each holds what the other wants"
