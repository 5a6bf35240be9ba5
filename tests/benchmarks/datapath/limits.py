"""What one core of this machine can: TLS send, TLS receive, inflate, reads; client CPU-seconds per byte, one at a time.

Each in a process of its own, by the plainest code there is, against a peer in another process. JSON on stdout.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import socket
import ssl
import tempfile
import zlib
from pathlib import Path
from typing import Any

from blake3 import blake3
from isal import isal_zlib

from disks.manifest import BLOCK
from simulators.authority import Authority
from tests.benchmarks.datapath import reference

MIB = 1 << 20
AMOUNT = 1 << 30
PIECE = 2 * MIB


def cpu() -> float:
    """Of this process, so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peer(listener: socket.socket, context: ssl.SSLContext, sends: bool) -> None:
    connection, _ = listener.accept()
    with context.wrap_socket(connection, server_side=True) as secured:
        data = bytearray(PIECE)
        if sends:
            for _ in range(AMOUNT // PIECE):
                secured.sendall(data)
        else:
            while secured.recv_into(data):
                pass


def tls(folder: Path, *, sends: bool) -> float:
    """Bytes per CPU-second of a client that sends (or receives)."""
    authority = Authority(folder)
    listener = socket.create_server(("127.0.0.1", 0))
    peer = multiprocessing.get_context("fork").Process(
        target=_peer, args=(listener, authority.server_context("127.0.0.1"), not sends)
    )
    peer.start()
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    raw = socket.create_connection(listener.getsockname())
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as secured:
        data = memoryview(bytearray(os.urandom(PIECE)))
        began = cpu()
        if sends:
            for _ in range(AMOUNT // PIECE):
                secured.sendall(data)
        else:
            while secured.recv_into(data):
                pass
        used = cpu() - began
    peer.join()
    return AMOUNT / used


def inflate() -> float:
    """Bytes inflated per CPU-second, by the faster library, in grains of 64 KiB of the reference disk's kind."""
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "r"
        reference.make(file, 256 * MIB)
        data = file.read_bytes()
    grains = [data[at : at + 65536] for at in range(0, len(data), 65536)]
    packed = [zlib.compress(each, 1) for each in grains if any(each)]
    began = cpu()
    for each in packed:
        isal_zlib.decompress(each, bufsize=65536)
    return len(packed) * 65536 / (cpu() - began)


def packed_share() -> float:
    """Bytes on the wire for a byte of the disk's data, as a stream-optimised VMDK has it."""
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "r"
        reference.make(file, 256 * MIB)
        data = file.read_bytes()
    grains = [each for at in range(0, len(data), 65536) if any(each := data[at : at + 65536])]
    return sum(len(zlib.compress(each, 1)) for each in grains) / (len(grains) * 65536)


def read_file(folder: Path) -> float:
    """Bytes read from a file in memory per CPU-second."""
    file = folder / "data"
    with file.open("wb") as out:
        for _ in range(AMOUNT // PIECE):
            out.write(bytes(PIECE))
    buffer = memoryview(bytearray(PIECE))
    descriptor = os.open(file, os.O_RDONLY)
    began = cpu()
    for at in range(0, AMOUNT, PIECE):
        os.preadv(descriptor, [buffer], at)
    used = cpu() - began
    os.close(descriptor)
    file.unlink()
    return AMOUNT / used


def sha1() -> float:
    """Bytes digested per CPU-second, as the stream of an export is."""
    data, hasher = memoryview(bytearray(os.urandom(PIECE))), hashlib.sha1(usedforsecurity=False)
    began = cpu()
    for _ in range(AMOUNT // PIECE):
        hasher.update(data)
    return AMOUNT / (cpu() - began)


def digest() -> float:
    """Bytes digested per CPU-second, block by block of the manifest."""
    blocks = memoryview(bytearray(os.urandom(4 * BLOCK)))
    began = cpu()
    for at in range(0, AMOUNT, BLOCK):
        inside = at % (4 * BLOCK)
        blake3(blocks[inside : inside + BLOCK]).digest()
    return AMOUNT / (cpu() - began)


def _unix_peer(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    data = bytearray(PIECE)
    for _ in range(AMOUNT // PIECE):
        connection.sendall(data)
    connection.close()


def read_unix(folder: Path) -> float:
    """Bytes received from a unix socket per CPU-second."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen()
    peer = multiprocessing.get_context("fork").Process(target=_unix_peer, args=(listener,))
    peer.start()
    buffer = memoryview(bytearray(PIECE))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(folder / "socket"))
    began = cpu()
    while connection.recv_into(buffer):
        pass
    used = cpu() - began
    peer.join()
    return AMOUNT / used


def main() -> None:
    """All of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    room = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=room) as made:
        folder = Path(made)
        told: dict[str, Any] = {
            "tls_send": tls(folder, sends=True),
            "tls_receive": tls(folder, sends=False),
            "inflate": inflate(),
            "packed_share": packed_share(),
            "file": read_file(folder),
            "unix": read_unix(folder),
            "digest": digest(),
            "sha1": sha1(),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
