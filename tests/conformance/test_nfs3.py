"""Our NFSv3 reader: against nfs-ganesha, and against answers that no server should give."""

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from platforms.vsphere.transports.nfs import export_of
from platforms.vsphere.transports.nfs3 import Export, NfsError, NfsFile
from tests.conformance.nfs_server import require_network_of_its_own

CASES = Path(__file__).with_name("nfs3_cases.py")


def test_a_real_server_in_a_network_of_its_own_is_read(tmp_path):
    unshare = require_network_of_its_own()

    told = subprocess.run(
        [unshare, "-n", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'in'}",
         CASES],
        capture_output=True, text=True, timeout=250, check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
    )  # fmt: skip

    assert told.returncode == 0, told.stdout[-4000:]
    assert "10 passed" in told.stdout


@pytest.mark.parametrize(
    ("url", "export"),
    [
        ("nfs://nas/vol1", Export("nas", "/vol1")),
        ("nfs://nas/vol%201?nfsport=2050&uid=7", Export("nas", "/vol 1", nfs_port=2050, uid=7)),
        ("nfs://nas", Export("nas", "/")),
    ],
)
def test_an_export_is_written_as_libnfs_has_it(url, export):
    assert Export.parse(url) == export


@pytest.mark.parametrize(
    "url", ["http://nas/x", "nfs:///x", "nfs://nas/x?version=4", "nfs://nas/x?uid=root", "nfs://nas/x?"]
)
def test_what_is_no_export_is_told(url):
    if url.endswith("?"):
        assert Export.parse(url).path == "/x"
        return
    with pytest.raises(NfsError, match="is written nfs://host/path"):
        Export.parse(url)


@pytest.mark.parametrize("name", ["nfs1", "[VMWARE]nfs1", "[VmWare] nfs1", "[vmware]  nfs1"])
def test_a_datastore_is_known_by_both_spellings_of_the_seed(name):
    assert export_of({name: "/mnt/nfs1"}, "nfs1") == "/mnt/nfs1"
    assert export_of({name: "/mnt/nfs1"}, "nfs10") is None


def answering(*answers):
    """A server that gives these records, whatever is asked, then hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        for record in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(record)
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def record(body):
    return struct.pack(">I", 0x80000000 | len(body)) + body


@pytest.mark.parametrize(
    "answer",
    [
        struct.pack(">I", 0xFFFFFFFF),  # a fragment of 2 GiB
        struct.pack(">I", 0x7FFFFFFF) * 3,
        record(b"short"),
        record(struct.pack(">6I", 1, 0, 0, 0, 0, 0)),  # a call, not an answer
        record(struct.pack(">3I", 1, 1, 1)),  # denied
        record(struct.pack(">3I", 1, 1, 0) + struct.pack(">2I", 0, 0xFFFFFFF0)),  # a verifier of 4 GiB
        record(struct.pack(">6I", 1, 1, 0, 0, 0, 2)),  # no such version
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
    ],
    ids=lambda answer: answer[:12].hex() or "nothing",
)
def test_an_answer_that_is_none_is_an_error_in_bounded_memory(answer, monkeypatch):
    monkeypatch.setattr("platforms.vsphere.transports.nfs3.PAUSE", 0.001)
    port = answering(*[answer] * 6)

    with pytest.raises(NfsError):
        NfsFile(Export("127.0.0.1", "/x", nfs_port=port, mount_port=port), ("file",))


def test_a_server_that_takes_calls_and_answers_none_is_given_up_soon(monkeypatch):
    monkeypatch.setattr("platforms.vsphere.transports.nfs3.OPENING_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port, began = silent.getsockname()[1], time.monotonic()

        with pytest.raises(NfsError, match="timed out") as told:
            NfsFile(Export("127.0.0.1", "/x", nfs_port=port, mount_port=port), ("file",))

    assert not told.value.meant
    assert time.monotonic() - began < 10
