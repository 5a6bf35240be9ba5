"""Our NBD client against real servers (nbdkit with its plugins and filters, qemu-nbd), and the VDDK rung."""

import random
import socket
import ssl
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from disks.nbd import NbdDisk
from disks.nbd_connection import NbdAddress, NbdError
from disks.nbd_server import NbdServer
from simulators.authority import Authority
from simulators.faults import FaultRule
from tests.conformance.one_migration import MIB, one_migration
from tests.conformance.test_transports import ends_equal, fill
from tests.conformance.vsphere_lab import PASSWORD
from tests.conftest import require_tool

SIZE = 20 * MIB + 512
PLUGIN = Path(__file__).with_name("vddk_plugin.sh")


@pytest.fixture
def raw(tmp_path):
    chance = random.Random(1)
    file = tmp_path / "disk.raw"
    with file.open("wb") as out:
        out.truncate(SIZE)
        for at in (0, 3 * MIB, 11 * MIB, 18 * MIB):
            out.seek(at)
            out.write(chance.randbytes(MIB + 4096))
        out.seek(SIZE - 512)
        out.write(b"z" * 512)
    return file


def nbdkit(*arguments, **more):
    require_tool("nbdkit", "nbdkit")
    return NbdServer(["nbdkit", "--foreground", "--exit-with-parent", "--unix={socket}", *map(str, arguments)], **more)


def whole(disk, piece=3 * MIB):
    buffer = bytearray(disk.size)
    with memoryview(buffer) as view:
        for at in range(0, disk.size, piece):
            disk.read_into(at, view[at : min(at + piece, disk.size)])
    return bytes(buffer)


def test_tls_is_spoken_and_verified(raw, tmp_path):
    require_tool("nbdkit", "nbdkit")
    authority = Authority(tmp_path)
    authority.server_context("127.0.0.1")
    certificates = tmp_path / "tls"
    certificates.mkdir()
    (certificates / "ca-cert.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
    (certificates / "server-cert.pem").write_bytes((tmp_path / "127.0.0.1.pem").read_bytes())
    (certificates / "server-key.pem").write_bytes((tmp_path / "127.0.0.1.key").read_bytes())
    port = _free_port()
    process = subprocess.Popen(
        ["nbdkit", "--foreground", "--readonly", "--tls=require", f"--tls-certificates={certificates}",
         "--ipaddr=127.0.0.1", f"--port={port}", "file", f"file={raw}"],
    )  # fmt: skip
    try:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        disk = _when_it_answers(NbdAddress(host="127.0.0.1", port=port, tls=trusting))
        assert whole(disk) == raw.read_bytes()
        disk.close()
        with pytest.raises(NbdError, match="refused"):  # --tls=require answers nobody else
            NbdDisk(NbdAddress(host="127.0.0.1", port=port))
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            NbdDisk(NbdAddress(host="127.0.0.1", port=port, tls=ssl.create_default_context()))
    finally:
        process.kill()
        process.wait()


def test_a_connection_that_breaks_is_made_anew(raw):
    server = nbdkit("--readonly", "file", f"file={raw}")
    disk = server.open()
    piece = bytearray(MIB)
    disk.read_into(0, memoryview(piece))
    disk._idle[0].sock.shutdown(socket.SHUT_RDWR)

    disk.read_into(3 * MIB, memoryview(piece))

    assert piece == raw.read_bytes()[3 * MIB : 4 * MIB]
    disk.close()
    server.close()


def test_an_error_of_the_server_has_its_reason(raw):
    server = nbdkit("--readonly", "--filter=error", "file", f"file={raw}", "error-pread-rate=100%", "error=EIO")
    disk = server.open()
    with pytest.raises(NbdError, match="error 5") as refused:
        disk.read_into(0, memoryview(bytearray(4096)))
    assert refused.value.meant
    disk.close()
    server.close()


def test_a_program_that_ends_at_once_is_told_with_its_last_words_and_without_the_secret():
    with pytest.raises(NbdError, match=r"ended with 1: .*no/such/file"):
        nbdkit("file", "file=/no/such/file")
    with pytest.raises(NbdError, match=r"it ended with 3: \*\*\* is wrong"):
        NbdServer(["sh", "-c", "read p < /dev/fd/{secret}; echo $p is wrong; exit 3"], secret="hunter2")
    with pytest.raises(NbdError, match="is not installed on this worker"):
        NbdServer(["no-such-program"])


def test_a_server_that_never_answers_is_given_up():
    with pytest.raises(NbdError, match="did not answer within"):
        NbdServer(["sleep", "20"], ready_within=0.3)


MAGIC = b"NBDMAGIC" + struct.pack(">QH", 0x49484156454F5054, 3)


def option(kind, about, data=b""):
    return struct.pack(">QIII", 0x3E889045565A9, about, kind, len(data)) + data


GO = option(3, 7, struct.pack(">HQH", 0, 1 << 20, 0)) + option(1, 7)
STRUCTURED = option(1, 8) + option(4, 10, struct.pack(">I", 5) + b"base:allocation") + option(1, 10) + GO
CHUNK = struct.Struct(">IHHQI")


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"HTTP/1.1 400 Bad Request\r\n\r\n\r\n\r\n", MAGIC, MAGIC + option(1, 99),
        MAGIC + struct.pack(">QIII", 0x3E889045565A9, 8, 1, 0xFFFFFFFF),
        MAGIC + STRUCTURED + CHUNK.pack(0x668E33EF, 1, 1, 1, 0xFFFFFFFF),
        MAGIC + STRUCTURED + CHUNK.pack(0x668E33EF, 0, 1, 1, 8 + 512) + struct.pack(">Q", 1 << 40) + bytes(512),
        MAGIC + STRUCTURED + CHUNK.pack(0x668E33EF, 1, 1, 1, 8 + 512) + struct.pack(">Q", 0) + bytes(512),
        MAGIC + STRUCTURED + CHUNK.pack(0x668E33EF, 1, 2, 1, 12) + struct.pack(">QI", 0, 0xFFFFFFFF),
        MAGIC + STRUCTURED + CHUNK.pack(0x668E33EF, 1, 5, 1, 12) + struct.pack(">III", 5, 0, 0),
        MAGIC + STRUCTURED + CHUNK.pack(0x668E33EF, 1, 1, 7, 8),
        MAGIC + STRUCTURED + CHUNK.pack(0x668E33EF, 1, 0x8001, 1, 6) + struct.pack(">IH", 5, 60000),
        MAGIC + option(0x80000001, 8) + GO + struct.pack(">IIQ", 0x67446698, 0, 99),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_server_that_breaks_the_protocol_is_an_error_and_no_data(tmp_path, answer):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    listener.listen()

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(answer)
                connection.settimeout(0.2)
                try:
                    while connection.recv(4096):
                        pass
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises((NbdError, OSError)):
        NbdDisk(NbdAddress(unix=str(tmp_path / "socket"))).read_into(0, memoryview(bytearray(4096)))
    listener.close()


# -- VDDK


@pytest.fixture
def vddk(tmp_path, monkeypatch):
    """What ferry.toml says of VDDK, and the file in which the stand-in notes what it was told."""
    require_tool("nbdkit", "nbdkit")
    told = tmp_path / "told"
    told.touch()
    monkeypatch.setenv("FERRY_TEST_TOLD", str(told))
    monkeypatch.setenv("FERRY_TEST_PASSWORD", PASSWORD)
    monkeypatch.setenv("FERRY_TEST_BREAKS_AT", "")
    (tmp_path / "vix").mkdir()
    return {"libdir": str(tmp_path / "vix"), "plugin": f"sh {PLUGIN}"}, told


def base_of(migration, monkeypatch):
    monkeypatch.setenv("FERRY_TEST_DISK", str(migration.guest.base_file))


async def test_vddk_reads_a_locked_vmfs_warm_and_its_password_goes_by_descriptor(tmp_path, vddk, monkeypatch):
    config, told = vddk
    with one_migration(tmp_path, size_mib=8, datastore="vmfs1", vddk=config) as migration:
        base_of(migration, monkeypatch)
        fill(migration, 8)
        await migration.begin()
        first = await migration.sync()
        migration.guest.write(5 * MIB, b"new!" * 1024)
        second = await migration.sync()
        await migration.power_off()
        final = await migration.sync(final=True)
        verdict = await migration.verdict()

    assert [(each.kind, each.transport) for each in (first, second, final)] == [
        ("initial", "nbd"), ("delta", "nbd"), ("delta", "nbd"),
    ]  # fmt: skip
    assert (verdict.equal, verdict.target_is_sent, verdict.target_is_source) == (True, True, True)
    words = told.read_text()
    assert PASSWORD not in words
    assert f"password: {len(PASSWORD)} characters" in words
    assert "vm=moref=vm-100" in words
    assert "snapshot=snapshot-" in words
    assert "file=[vmfs1] web01/web01.vmdk" in words
    assert "transports=nbdssl:nbd" in words


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [({"libdir": "/no/such"}, "cannot open shared object"), ({"nbdkit": "no-nbdkit"}, "no-nbdkit is not installed")],
)
async def test_vddk_that_does_not_work_falls_to_the_next_rung_and_says_so(tmp_path, vddk, monkeypatch, spoiled, said):
    config, _ = vddk
    with one_migration(tmp_path, size_mib=8, datastore="nfs1", vddk={**config, **spoiled}) as migration:
        base_of(migration, monkeypatch)
        fill(migration, 8)
        await migration.begin()
        report = await migration.sync()

    assert (report.complete, report.transport) == (True, "https")
    assert said in report.transport_reason


async def test_vddk_that_fails_in_mid_pass_is_left_for_the_next_rung(tmp_path, vddk, monkeypatch):
    config, _ = vddk
    with one_migration(tmp_path, size_mib=16, datastore="nfs1", vddk=config) as migration:
        base_of(migration, monkeypatch)
        fill(migration)
        await migration.begin()
        freeze = await migration.freeze()
        monkeypatch.setenv("FERRY_TEST_BREAKS_AT", str(9 * MIB))
        migration.vcenter.faults.add(FaultRule("GET /folder", action="http", argument=503, count=1))

        report = await migration.copy(freeze)

        assert (report.complete, report.transport, report.bytes_sent_again) == (True, "https", 0)
        assert "nbd was given up" in report.transport_reason
        monkeypatch.setenv("FERRY_TEST_BREAKS_AT", "")
        await migration.seal(freeze, complete=report.complete)
        await ends_equal(migration)


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def _when_it_answers(address):
    for _ in range(100):
        try:
            return NbdDisk(address)
        except ConnectionRefusedError:
            threading.Event().wait(0.05)
    raise AssertionError("it does not answer")
