"""Segments of our client at a simulated pool: what is durable, what is not, and one writer at a time."""

import hashlib
import ssl
import threading
import time

import pytest

from contracts.errors import FerryError
from simulators.faults import FaultRule
from simulators.xapi.transfers import attach
from tests.conformance.xapi_lab import connection, logged_in, running_pool
from tests.conformance.xapi_target import (
    MIB,
    errand,
    file_of,
    machine,
    made_shell,
    noise,
    order_for,
    pool_and_target,
    send,
    stored,
    target_at,
)

TOKEN = "run/1/1"
PUT = "PUT /import_raw_vdi"
GET = "GET /export_raw_vdi"


@pytest.fixture
def both(tmp_path):
    with pool_and_target(tmp_path, speed=10) as both:
        yield both


@pytest.fixture
def disk(both):
    """The first disk of a shell, taken over."""
    _, target = both
    opened = target.open_disk(errand(), made_shell(target).disks[0])
    opened.take_over(TOKEN, 5)
    return opened


def vdi_of(simulator, disk):
    return simulator.db.by_uuid("VDI", disk._disk.vdi)


def content(simulator, disk):
    return file_of(simulator, disk._disk.vdi)


def code_of(work, *args, **more):
    with pytest.raises(FerryError) as told:
        work(*args, **more)
    return told.value.code


def dom0_vbds(simulator, disk):
    found = simulator.pool.vbds_of_vdi(vdi_of(simulator, disk)).values()
    return [each for each in found if simulator.db.get("VM", each["VM"])["is_control_domain"]]


def pins_of(folder):
    """One per host, as an operator writes them down; no CA."""
    leaves = [ssl.PEM_cert_to_DER_cert((folder / f"{host}.pem").read_text()) for host in ("127.0.0.1", "127.0.0.11")]
    return {"ca_file": None, "tls_sha256": [hashlib.sha256(leaf).hexdigest() for leaf in leaves]}


@pytest.mark.parametrize(
    ("action", "argument"),
    [("drop", MIB), ("eof", MIB), ("error", ["VDI_IO_ERROR", "Device I/O errors"]), ("lose-task", None)],
)
def test_a_segment_that_broke_is_not_believed_and_can_be_sent_again(both, disk, action, argument):
    simulator, _ = both
    simulator.faults.add(FaultRule(method=PUT, action=action, argument=argument))
    data = noise(1, 4 * MIB)

    def attempt(token):
        writer = disk.begin(token, "segment 0")
        writer.write(0, data)
        writer.terminate()
        writer.confirm(20)

    assert code_of(attempt, TOKEN) == "xapi.segment_failed"
    disk.take_over("run/1/2", 20)
    attempt("run/1/2")

    assert content(simulator, disk)[: 4 * MIB] == data
    assert dom0_vbds(simulator, disk) == []


def test_a_full_sr_is_told_apart_from_a_segment_that_broke(both, disk):
    simulator, _ = both
    simulator.faults.add(
        FaultRule(method=PUT, action="error", argument=["SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""])
    )

    writer = disk.begin(TOKEN, "segment 0")
    writer.write(0, noise(1, 4096))
    writer.terminate()

    assert code_of(writer.confirm, 20) == "xapi.sr_full"


@pytest.mark.parametrize(("status", "code"), [(403, "xapi.no_permission"), (503, "xapi.busy"), (404, "xapi.failure")])
def test_a_door_that_is_shut_is_told_and_leaves_no_task(both, disk, status, code):
    simulator, _ = both
    simulator.faults.add(FaultRule(method=PUT, action="http", argument=status, count=-1))

    assert code_of(disk.begin, TOKEN, "segment 0") == code
    assert not [each for each in simulator.db.all("task").values() if each["status"] == "pending"]


def test_a_single_404_makes_no_vhd_of_it(both, disk):
    simulator, _ = both
    simulator.faults.add(FaultRule(method=PUT, action="http", argument=404))

    disk.begin(TOKEN, "segment 0").abandon()

    assert disk.most_per_segment is None


def test_a_session_that_ended_at_the_door_is_renewed(both, disk):
    simulator, _ = both
    simulator.pool.sessions.end_all()

    writer = disk.begin(TOKEN, "segment 0")
    writer.write(0, b"x" * 4096)
    writer.terminate()
    writer.confirm(20)

    assert content(simulator, disk)[:4096] == b"x" * 4096


def test_a_dom0_vbd_that_was_left_behind_is_cleared_by_the_next_writer(both, disk):
    simulator, _ = both
    attach(simulator.pool, simulator.pool.hosts[0], vdi_of(simulator, disk), "RW")
    assert len(dom0_vbds(simulator, disk)) == 1

    disk.take_over("run/1/2", 0.5)

    assert dom0_vbds(simulator, disk) == []


def test_a_dom0_vbd_that_the_receiver_leaves_is_cleared_before_the_segment_counts(both, disk, monkeypatch):
    simulator, _ = both
    simulator.faults.add(FaultRule(method=PUT, action="leave-vbd"))

    writer = disk.begin(TOKEN, "segment 0")
    writer.write(0, b"x" * 4096)
    writer.terminate()
    writer.confirm(30)

    assert dom0_vbds(simulator, disk) == []


def test_a_writer_waits_until_a_read_back_has_ended(both, disk):
    simulator, target = both
    send(target, made_shell(target), 0, {0: noise(1, 16 * MIB)}, token="run/1/2")
    reading = target.read_back(disk._disk.vdi, errand())
    pieces = reading.blocks()
    _, first = next(pieces)
    waiting = threading.Thread(target=disk.take_over, args=("run/1/3", 30))

    waiting.start()
    time.sleep(1)

    assert waiting.is_alive(), "it must not write beside a reader"
    assert [vbd["mode"] for vbd in dom0_vbds(simulator, disk)] == ["RO"]
    assert len(first) + sum(len(piece) for _, piece in pieces) == 16 * MIB, "nor take the disk from it"
    reading.close()
    waiting.join(30)
    assert not waiting.is_alive()


def test_a_vbd_that_a_strangers_program_has_open_is_asked_about_and_not_torn_away(both, disk, tmp_path):
    simulator, _ = both
    session = logged_in(simulator, tmp_path)
    other = connection(simulator, tmp_path)
    other.putrequest("PUT", f"/import_raw_vdi?vdi={disk._disk.vdi}&format=raw&chunked", skip_accept_encoding=True)
    other.putheader("Cookie", f"session_id={session._session}")
    other.endheaders()
    while not dom0_vbds(simulator, disk):
        time.sleep(0.01)

    assert code_of(disk.take_over, "run/1/2", 0.5) == "xapi.vdi_held"
    assert len(dom0_vbds(simulator, disk)) == 1
    other.close()


def test_a_writer_whose_token_was_taken_stops_before_its_next_segment(both, disk):
    simulator, _ = both
    disk.take_over("run/1/2", 5)

    assert code_of(disk.begin, TOKEN, "segment 1") == "xapi.superseded"
    assert code_of(disk.check_token, TOKEN) == "xapi.superseded"
    assert simulator.pool.stats.puts == 0


def test_a_stopped_writer_in_mid_put_is_evicted_and_what_it_sends_later_is_not_written(both, disk):
    simulator, _ = both
    zombie = disk.begin(TOKEN, "segment 0")
    zombie.write(0, b"z" * MIB)

    disk.take_over("run/1/2", 0.5)
    writer = disk.begin("run/1/2", "segment 0")
    writer.write(0, b"w" * MIB)
    writer.terminate()
    writer.confirm(20)
    with pytest.raises(FerryError):
        for _ in range(64):
            zombie.write(0, b"z" * MIB)
        zombie.terminate()
        zombie.confirm(5)

    assert content(simulator, disk)[:MIB] == b"w" * MIB
    assert max(simulator.pool.stats.most_writers_at_once.values()) == 1


def test_two_writers_who_come_at_once_are_told_apart(both):
    """However they interleave, only the one whose token is on the VDI writes on."""
    _, target = both
    shell = made_shell(target)
    outcomes = {}

    def work(token):
        disk = target.open_disk(errand(), shell.disks[0])
        try:
            disk.take_over(token, 5)
            writer = disk.begin(token, "segment 0")
            writer.write(0, token.encode().ljust(4096, b"."))
            writer.terminate()
            writer.confirm(20)
            disk.check_token(token)
            outcomes[token] = "done"
        except FerryError as error:
            outcomes[token] = error.code

    threads = [threading.Thread(target=work, args=(f"run/1/{number}",)) for number in (1, 2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert list(outcomes.values()).count("done") <= 1
    assert set(outcomes.values()) <= {"done", "xapi.superseded", "xapi.segment_failed", "xapi.vdi_held", "xapi.busy"}


@pytest.mark.parametrize("action", ["drop", "eof"])
def test_a_read_back_that_breaks_never_looks_whole(both, disk, action):
    simulator, target = both
    send(target, made_shell(target), 0, {0: noise(1, 8 * MIB)}, token="run/1/2")
    simulator.faults.add(FaultRule(method=GET, action=action, argument=2 * MIB))

    assert code_of(stored, target, disk._disk.vdi) == "xapi.read_back_failed"
    assert stored(target, disk._disk.vdi) == content(simulator, disk)
    assert dom0_vbds(simulator, disk) == []


def test_what_a_migration_left_is_finished_off(both, disk):
    simulator, target = both
    shell = made_shell(target)
    disk.begin(TOKEN, "segment 0").abandon()
    attach(simulator.pool, simulator.pool.hosts[0], vdi_of(simulator, disk), "RW")

    target.finish(shell.vm, errand())

    assert dom0_vbds(simulator, disk) == []
    assert not simulator.db.all("task")


@pytest.mark.parametrize("pinned", [False, True])
def test_an_sr_that_only_a_member_sees_is_written_through_that_member(tmp_path, pinned):
    hosts = [{"name": "one", "srs": ["shared"]}, {"name": "two"}]
    srs = [{"name": "shared", "type": "nfs"}, {"name": "local-two"}]
    with (
        running_pool(tmp_path, hosts=hosts, srs=srs, speed=10) as simulator,
        target_at(simulator, tmp_path, sr="local-two", **(pins_of(tmp_path) if pinned else {})) as target,
    ):
        order = order_for(target, machine()).model_copy(update={"sr_uuid": target.facts("local-two").sr_uuid})
        shell = target.make_shell(order)
        data = noise(1, MIB)
        send(target, shell, 0, {0: data})

        assert file_of(simulator, shell.disks[0].vdi)[:MIB] == data
        assert stored(target, shell.disks[0].vdi)[:MIB] == data
