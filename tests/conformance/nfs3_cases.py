"""Our NFSv3 reader against the real server. Run by test_nfs3.py in a network namespace of its own, not by itself."""

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from platforms.vsphere.transports import nfs3
from platforms.vsphere.transports.nfs3 import Export, NfsError, NfsFile
from simulators.faults import FaultRule
from tests.conformance.nfs_server import serving
from tests.conformance.one_migration import MIB, one_migration

SIZE = 9 * MIB + 512


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def server(tmp_path_factory, export):
    with serving(tmp_path_factory.mktemp("ganesha"), export) as running:
        yield running


@pytest.fixture
def content(server, export):
    (export / "web 01").mkdir(exist_ok=True)
    data = random.Random(5).randbytes(SIZE)
    (export / "web 01" / "web01-flat.vmdk").write_bytes(data)
    return data


def opened(export, *path):
    return NfsFile(Export.parse(f"nfs://127.0.0.1{export}"), path or ("web 01", "web01-flat.vmdk"))


def test_ports_that_are_named_need_no_portmapper(export, content):
    file = NfsFile(Export.parse(f"nfs://127.0.0.1{export}?nfsport=2049&mountport=20048"), ("web 01", "web01-flat.vmdk"))
    piece = bytearray(512)
    file.read_into(SIZE - 512, memoryview(piece))
    assert piece == content[-512:]


@pytest.mark.parametrize(
    ("path", "told"),
    [(("nobody", "x"), "not there"), (("web 01",), "is no file"), (("web 01", "web01-flat.vmdk", "x"), "")],
)
def test_what_is_not_there_is_meant(export, content, path, told):
    with pytest.raises(NfsError, match=told) as refused:
        opened(export, *path)
    assert refused.value.meant


def test_an_export_that_is_none_is_meant(server):
    with pytest.raises(NfsError) as refused:
        NfsFile(Export.parse("nfs://127.0.0.1/no/such"), ("x",))
    assert refused.value.meant


def test_past_the_end_is_an_error_and_no_zeros(export, content):
    with pytest.raises(NfsError, match=f"0 of 512 bytes at {SIZE}"):
        opened(export).read_into(SIZE, memoryview(bytearray(512)))


def test_a_server_that_is_killed_and_started_again_is_read_on(export, server, content):
    file = opened(export)
    piece = bytearray(MIB)
    file.read_into(0, memoryview(piece))
    server.kill()
    threading.Timer(0.5, server.start).start()

    file.read_into(5 * MIB, memoryview(piece))

    assert piece == content[5 * MIB : 6 * MIB]


@contextlib.contextmanager
def stopped(pid: int):
    """Every thread of it: one that still runs for a moment would answer."""
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 10
        tasks = Path(f"/proc/{pid}/task")
        while {each.read_text().rpartition(")")[2].split()[0] for each in tasks.glob("*/stat")} != {"T"}:
            assert time.monotonic() < deadline, "it was not stopped"
            time.sleep(0.01)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_server_that_hangs_keeps_nobody_who_hangs_up(export, server, content):
    file, told = opened(export), []

    def reader():
        try:
            file.read_into(0, memoryview(bytearray(MIB)))
        except NfsError as error:
            told.append(str(error))

    with stopped(server.pid):
        waiting = threading.Thread(target=reader)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        file.hang_up()
        waiting.join(2)

    assert told == ["it was hung up"]
    file.close()


async def test_a_migration_from_an_export_that_nobody_mounted_ends_equal(tmp_path, server, export):
    store = tmp_path / "vc" / "vsphere"
    chance = random.Random(8)
    with one_migration(tmp_path, size_mib=8.00048828125, export=f"nfs://127.0.0.1{export}/nfs1") as migration:
        (export / "nfs1").rmdir() if (export / "nfs1").exists() else None
        (store / "nfs1").rename(export / "nfs1")
        (store / "nfs1").symlink_to(export / "nfs1")
        migration.guest.write(0, chance.randbytes(3 * MIB))
        await migration.begin()
        first = await migration.sync()
        migration.guest.write(7 * MIB, chance.randbytes(4096))
        second = await migration.sync()
        migration.guest.write(migration.guest.capacity - 512, b"e" * 512)
        await migration.power_off()
        final = await migration.sync(final=True)
        verdict = await migration.verdict()

    assert [each.transport for each in (first, second, final)] == ["nfs"] * 3
    assert (verdict.equal, verdict.target_is_sent, verdict.target_is_source) == (True, True, True)


async def test_a_server_that_goes_for_good_in_mid_pass_gives_way_to_folder(tmp_path, server, export, monkeypatch):
    monkeypatch.setattr(nfs3, "PAUSE", 0.01)
    store = tmp_path / "vc" / "vsphere"
    with one_migration(tmp_path, size_mib=48, datastore="nfs1", export=f"nfs://127.0.0.1{export}/gone") as migration:
        (store / "nfs1").rename(export / "gone")
        (store / "nfs1").symlink_to(export / "gone")
        migration.guest.write(0, random.Random(8).randbytes(48 * MIB))
        migration.segment_bytes = 4 * MIB
        await migration.begin()
        freeze = await migration.freeze()
        migration.pool.faults.add(FaultRule("PUT /import_raw_vdi", "slow", argument=48 * MIB, count=-1))
        copying, _ = await migration.copy_of_one_segment(freeze)
        server.kill()

        report = await copying

        server.start()
        assert (report.complete, report.transport, report.bytes_sent_again) == (True, "https", 0)
        assert "nfs was given up" in report.transport_reason
        assert report.bytes_sent == 48 * MIB, "what was copied is kept"
        await migration.seal(freeze, complete=True)
        migration.pool.faults.clear()
        await migration.power_off()
        assert (await migration.sync(final=True)).transport == "nfs"
        verdict = await migration.verdict()
    assert (verdict.equal, verdict.target_is_sent, verdict.target_is_source) == (True, True, True)
