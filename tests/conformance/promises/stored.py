"""Disks as a pool has stored them, by every way of reading them back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from disks.protocols import ReadBack
from platforms.xapi.nbd_ranges import VdiRanges
from simulators.faults import FaultRule
from tests.conformance.xapi_target import errand, file_of, machine, made_shell, pool_and_target
from tests.unit.memory_disks import MemoryVdi

GET = "GET /export_raw_vdi"


def pieces(content: bytes, size: int = 4096) -> Iterator[tuple[int, bytes]]:
    """What of it is not zeros."""
    for at in range(0, len(content), size):
        piece = content[at : at + size]
        if any(piece):
            yield at, piece


@contextmanager
def pool_with(folder: Path, content: bytes, **more: Any) -> Iterator[tuple[Any, Any, str]]:
    """Simulator, client, and the uuid of a VDI that holds the content; its holes are holes."""
    with pool_and_target(folder, speed=10, **more) as (simulator, target):
        vdi = made_shell(target, disks=machine((len(content),)).disks).disks[0].vdi
        with simulator.pool.vdi_file(simulator.db.by_uuid("VDI", vdi)).open("r+b") as file:
            for at, piece in pieces(content):
                file.seek(at)
                file.write(piece)
        yield simulator, target, vdi


@contextmanager
def nbd_of_a_pool(folder: Path, content: bytes) -> Iterator[tuple[Callable[[], VdiRanges], bytes]]:
    """Its VDI by ranges, and what it holds."""
    with pool_with(folder, content, networks=[{"name": "lan", "purpose": "nbd"}]) as (simulator, target, vdi):

        def opened() -> VdiRanges:
            ranges = target.open_ranges(vdi, errand())
            assert ranges is not None
            return ranges

        yield opened, file_of(simulator, vdi)


def export(form: str) -> Callable[..., Any]:
    """A whole export: by VHD, or raw where the pool refuses that."""

    @contextmanager
    def opened(
        folder: Path, content: bytes
    ) -> Iterator[tuple[Callable[[], ReadBack], bytes, Callable[[FaultRule], Any]]]:
        with pool_with(folder, content) as (simulator, target, vdi):

            def read_back() -> ReadBack:
                if form == "raw":
                    simulator.faults.add(FaultRule(method=GET, action="http", argument=404))
                return target.read_back(vdi, errand())

            def spoil(rule: FaultRule) -> None:
                if form == "raw":
                    rule.skip = 1  # the refusal of VHD comes first
                simulator.faults.add(rule)

            yield read_back, file_of(simulator, vdi), spoil

    return opened


@contextmanager
def memory(folder: Path, content: bytes) -> Iterator[tuple[Callable[[], ReadBack], bytes, None]]:
    """The stand-in of the tests of the proofs."""
    vdi = MemoryVdi(len(content))
    vdi.content[:] = content
    yield lambda: vdi, content, None


READ_BACKS = {"VHD": export("vhd"), "raw": export("raw"), "memory": memory}
