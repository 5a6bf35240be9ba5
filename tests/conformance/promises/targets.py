"""Every target that takes segments: VDIs of simulated pools by each way of writing them, and memory."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disks.protocols import DiskTarget
from tests.conformance.xapi_target import MIB, errand, machine, order_for, pool_and_target
from tests.unit.memory_disks import MemoryVdi

CAPACITY = 9 * MIB + 512
HUGE = (3 << 40) + 512
"""More than a VHD holds: the SR keeps it as qcow2."""
STALE = 0xA5
"""What a raw volume held before."""


@dataclass
class Opened:
    """A disk that nobody has written to.

    Attributes:
        open: it, as often as one likes: each may be another worker's.
        capacity: of the source's disk: its last byte may be in the middle of a sector of 4 KiB.
        told_size: its virtual size, as the pool tells it.
        read: bytes at an offset, as they are stored, past all our code.
        written: bytes of the file that are no hole.
        fresh: what each byte was before.
        held: whether dom0 has it open.
    """

    open: Callable[[], DiskTarget]
    capacity: int
    told_size: int
    read: Callable[[int, int], bytes]
    written: Callable[[], int]
    fresh: int = 0
    held: Callable[[], bool] = lambda: False


def pool(capacity: int = CAPACITY, *, sr: dict[str, Any] | None = None, raw: bool = False, **more: Any) -> Any:
    """A pool with one SR, and on it a VDI that our own shell made."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Opened]:
        srs = [{"name": "local-ext", **(sr or {})}]
        with pool_and_target(folder, speed=10, srs=srs, **more) as (simulator, target):
            if raw:
                for record in simulator.db.all("SR").values():
                    record["sm_config"] = {}
            shell = target.make_shell(order_for(target, machine((capacity,))))
            [disk] = shell.disks
            ref = simulator.db.by_uuid("VDI", disk.vdi)
            file = simulator.pool.vdi_file(ref)
            assert disk.prezeroed is not raw
            if raw:
                file.write_bytes(bytes([STALE]) * file.stat().st_size)

            def read(offset: int, length: int) -> bytes:
                with file.open("rb") as stored:
                    return os.pread(stored.fileno(), length, offset)

            yield Opened(
                lambda: target.open_disk(errand(), disk), capacity, simulator.db.get("VDI", ref)["virtual_size"], read,
                lambda: file.stat().st_blocks * 512, STALE if raw else 0,
                lambda: any(vbd["currently_attached"] for vbd in simulator.pool.vbds_of_vdi(ref).values()),
            )  # fmt: skip

    return opened


@contextmanager
def memory(folder: Path) -> Iterator[Opened]:
    """The stand-in of the tests of the copying code, which must promise no less."""
    vdi = MemoryVdi(10 * MIB)
    yield Opened(
        lambda: vdi, CAPACITY, len(vdi.content), lambda offset, length: bytes(vdi.content[offset : offset + length]),
        lambda: len(vdi.content),
    )  # fmt: skip


TARGETS: dict[str, Callable[[Path], Any]] = {
    "chunked raw": pool(),
    "chunked raw, sectors of 4 KiB": pool(sr={"block_size": 4096}),
    "VHD streams": pool(takes_chunked=False),
    "qcow2 of 3 TiB": pool(HUGE, sr={"name": "big", "type": "nfs", "qcow2": True}),
    "LVM with VHD": pool(sr={"name": "lvm", "type": "lvm"}),
    "LVM, raw volumes": pool(sr={"name": "raw", "type": "lvm"}, raw=True),
    "memory": memory,
}
