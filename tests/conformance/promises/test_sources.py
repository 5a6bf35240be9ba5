"""What :class:`disks.protocols.DiskSource` promises, of every source there is."""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.errors import FerryError
from disks.extents import Extent, merged, subtracted, total
from disks.protocols import DiskSource
from tests.conformance.nfs_server import require_network_of_its_own
from tests.conformance.promises.sources import (
    IN_A_NETWORK_OF_ITS_OWN,
    MIB,
    SOURCES,
    WRITTEN_SINCE,
    Opened,
)

KNOWN_RUNGS = {"memory", "nbd", "nfs", "https", "nfc"}


@pytest.fixture(scope="module", params=SOURCES, ids=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with SOURCES[request.param](tmp_path_factory.mktemp("source")) as opened:
        yield opened


@pytest.fixture
def disk(source: Opened) -> Iterator[DiskSource]:
    with contextlib.closing(source.open()) as disk:
        yield disk


def reads_right(disk: DiskSource, content: bytes, offset: int, length: int) -> bool:
    """Whether it fills the buffer, and nothing but the buffer."""
    around = bytearray(b"\xee" * (length + 2))
    with memoryview(around) as whole, whole[1:-1] as buffer:
        disk.read_into(offset, buffer)
    return around[1:-1] == content[offset : offset + length] and around[0] == around[-1] == 0xEE


def some_place(chance: random.Random, content: bytes) -> tuple[int, int]:
    offset = 512 * chance.randrange(len(content) // 512)
    return offset, min(len(content) - offset, 512 * chance.randrange(1, 4000))


def test_its_capacity_is_that_of_the_disk_in_whole_sectors(source: Opened, disk: DiskSource) -> None:
    assert disk.capacity == len(source.content)
    assert disk.capacity % 512 == 0


def test_allocated_extents_are_sorted_apart_and_leave_no_data_out(source: Opened, disk: DiskSource) -> None:
    extents, at = disk.allocated(), 0

    assert extents
    assert all(one.end < other.start or one.end == other.start for one, other in pairwise(extents))
    assert all(0 <= each.start < each.end <= disk.capacity for each in extents)
    for start, end in [*extents, Extent(disk.capacity, disk.capacity)]:
        assert not any(source.content[at:start]), f"data in [{at}, {start})"
        at = end
    if source.grain:
        data = sum(any(source.content[at : at + 4096]) for at in range(0, disk.capacity, 4096)) * 4096
        assert total(extents) <= data + 8 * 2 * source.grain, "holes are told as data"


def test_what_changed_since_a_landmark_is_told_or_refused(source: Opened, disk: DiskSource) -> None:
    if source.landmark is None:
        with pytest.raises(FerryError) as refused:
            disk.changed_since("any")
        assert refused.value.code == "vsphere.change_tracking_unusable"
        return
    changed = disk.changed_since(source.landmark)
    assert merged(changed) == changed
    assert subtracted([Extent(WRITTEN_SINCE, WRITTEN_SINCE + 4096)], changed) == []
    assert changed[-1].end <= disk.capacity
    assert total(changed) <= source.may_have_changed


@pytest.mark.parametrize("length", [3 * MIB, 64 << 10, MIB + 512])
def test_it_is_read_from_end_to_end(source: Opened, disk: DiskSource, length: int) -> None:
    for at in range(0, disk.capacity, length):
        assert reads_right(disk, source.content, at, min(length, disk.capacity - at)), at


def test_it_is_read_in_any_order_whatever_the_sizes(source: Opened, disk: DiskSource) -> None:
    chance = random.Random(2)
    for _ in range(12):
        offset, length = some_place(chance, source.content)
        assert reads_right(disk, source.content, offset, length), (offset, length)


def test_its_first_and_last_sectors_are_read(source: Opened, disk: DiskSource) -> None:
    for offset in (disk.capacity - 512, 0, disk.capacity - 512):
        assert reads_right(disk, source.content, offset, 512)


def test_reading_past_its_capacity_is_a_mistake_and_does_no_harm(source: Opened, disk: DiskSource) -> None:
    for offset, length in ((disk.capacity, 512), (disk.capacity - 512, 1024), (0, disk.capacity + 512), (-512, 512)):
        with pytest.raises(ValueError, match="end"):
            disk.read_into(offset, memoryview(bytearray(length)))

    assert reads_right(disk, source.content, disk.capacity - 512, 512)


def test_it_is_read_by_several_threads(source: Opened, disk: DiskSource) -> None:
    wrong: list[object] = []

    def reader(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(8):
                offset, length = some_place(chance, source.content)
                if not reads_right(disk, source.content, offset, length):
                    wrong.append((offset, length))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=reader, args=(seed,)) for seed in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


def test_to_ask_is_only_a_hint(source: Opened, disk: DiskSource) -> None:
    """In order, out of order, twice, never read, read without being asked for, far too many, and past the end."""
    ahead = max(1, disk.asks_ahead)
    assert disk.asks_ahead >= 0
    for at in range(ahead):
        disk.ask(at * MIB // 2, MIB // 2)
    for at in (*range(ahead), *reversed(range(ahead))):
        assert reads_right(disk, source.content, at * MIB // 2, MIB // 2)
    disk.ask(MIB, 4096)
    disk.ask(MIB, 4096)
    disk.ask(2 * MIB, MIB)
    assert reads_right(disk, source.content, 2 * MIB, 4096), "another length than was asked for"
    assert reads_right(disk, source.content, MIB, 4096)
    for at in range(4 * ahead):
        disk.ask(at * 65536, 65536)
    disk.ask(disk.capacity - 512, 4096)
    disk.ask(disk.capacity, 512)
    for at in range(4 * ahead):
        assert reads_right(disk, source.content, at * 65536, 65536)
    assert reads_right(disk, source.content, disk.capacity - 512, 512)


def test_it_is_closed_twice_and_gives_back_its_connections(source: Opened) -> None:
    source.open().close()  # what is kept for the whole source is there now
    before = _open_files()
    disk = source.open()
    reads_right(disk, source.content, 0, MIB)
    disk.ask(MIB, MIB)
    disk.ask(2 * MIB, MIB)

    disk.close()
    disk.close()

    _until(lambda: _open_files() <= before, "it keeps what it opened")


def test_a_transport_that_fails_gives_way_to_the_next_one_if_there_is_one(source: Opened, disk: DiskSource) -> None:
    first = disk.transport
    assert first in KNOWN_RUNGS
    assert not disk.step_down(FerryError("xapi.segment_failed", "that is the other side's")), "of no transport's making"
    assert disk.transport == first

    gave_way = disk.step_down(FerryError("vsphere.read_failed", "on order"))

    assert gave_way is bool(source.next)
    assert disk.transport == (source.next or first)
    assert ("was given up: on order" in disk.reason) is gave_way
    assert reads_right(disk, source.content, MIB, MIB)
    assert reads_right(disk, source.content, disk.capacity - 512, 512)


@pytest.mark.skipif(IN_A_NETWORK_OF_ITS_OWN in os.environ, reason="this is the network of its own")
def test_the_same_is_true_of_an_export_that_nobody_mounted() -> None:
    """nfs-ganesha wants the ports of NFSv3: it gets a network where nobody else can reach it."""
    unshare = require_network_of_its_own()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}

    told = subprocess.run(
        [unshare, "-n", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        capture_output=True, text=True, timeout=250, check=False, env={**environment, IN_A_NETWORK_OF_ITS_OWN: "1"},
    )  # fmt: skip

    assert told.returncode == 0, told.stdout[-4000:]
    assert "13 passed, 1 skipped" in told.stdout


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _until(holds: Callable[[], bool], told: str) -> None:
    """The other side of a connection, in this process, too, notices a moment later."""
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline, told
        time.sleep(0.02)
