"""What :class:`disks.protocols.DiskTarget` and :class:`disks.protocols.SegmentWriter` promise, of every target."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.errors import FerryError
from disks.protocols import DiskTarget, SegmentWriter, TaskOutcome
from tests.conformance.promises.targets import MIB, TARGETS, Opened

TOKEN = "run/1/1"


@pytest.fixture(params=TARGETS, ids=TARGETS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    with TARGETS[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def disk(opened: Opened) -> Iterator[DiskTarget]:
    disk = opened.open()
    disk.take_over(TOKEN, 10)
    yield disk
    disk.close()
    disk.close()


def written(disk: DiskTarget, pieces: dict[int, bytes], token: str = TOKEN) -> SegmentWriter:
    """One segment, up to what makes it durable."""
    writer = disk.begin(token, "segment")
    for offset, data in pieces.items():
        writer.write(offset, data)
    writer.terminate()
    writer.confirm(30)
    return writer


def code_of(work, *given) -> str:
    with pytest.raises(FerryError) as told:
        work(*given)
    return told.value.code


def test_its_size_is_what_the_sr_made_of_it(opened: Opened, disk: DiskTarget) -> None:
    assert disk.virtual_size == opened.told_size >= opened.capacity
    assert disk.virtual_size % (2 * MIB) == 0


def test_what_is_written_is_stored_where_it_belongs_and_nothing_else_is_touched(
    opened: Opened, disk: DiskTarget
) -> None:
    chance, last = random.Random(1), opened.capacity - 512
    pieces = {
        0: chance.randbytes(4096),
        MIB + 4096: chance.randbytes(3 * MIB),  # over the border of a block of 2 MiB
        5 * MIB: chance.randbytes(8192),
        opened.capacity - 512 - 4096: chance.randbytes(4096 + 512),  # to the disk's odd end
    }
    before = opened.written()

    writer = written(disk, pieces)

    assert disk.outcome(writer.task) is TaskOutcome.SUCCESS
    at = 0
    for offset, data in pieces.items():
        assert set(opened.read(at, min(offset - at, MIB))) <= {opened.fresh}
        assert opened.read(offset, len(data)) == data
        at = offset + len(data)
    assert not any(opened.read(last + 512, disk.virtual_size - last - 512)) or opened.fresh
    assert opened.written() - before <= sum(map(len, pieces.values())) + (1 << 20)
    assert not opened.held()


def test_a_later_segment_writes_over_an_earlier_one_with_zeros_too(opened: Opened, disk: DiskTarget) -> None:
    written(disk, {0: b"\xee" * 3 * MIB})
    written(disk, {4096: bytes(MIB), 2 * MIB: b"new!" * 1024})

    assert opened.read(0, 4096) == b"\xee" * 4096
    assert opened.read(4096, MIB) == bytes(MIB)
    assert opened.read(4096 + MIB, MIB - 4096) == b"\xee" * (MIB - 4096)
    assert opened.read(2 * MIB, 8192) == b"new!" * 1024 + b"\xee" * 4096


def test_it_counts_when_it_is_terminated_and_confirmed_and_not_before(opened: Opened, disk: DiskTarget) -> None:
    writer = disk.begin(TOKEN, "segment")
    writer.write(0, b"x" * 4096)

    assert disk.outcome(writer.task) is TaskOutcome.PENDING
    assert code_of(writer.confirm, 1) == "internal"

    writer.terminate()
    writer.confirm(30)
    assert disk.outcome(writer.task) is TaskOutcome.SUCCESS
    disk.forget(writer.task)
    assert disk.outcome(writer.task) is TaskOutcome.GONE
    disk.forget(writer.task)


def test_what_is_abandoned_never_counts_and_can_be_sent_again(opened: Opened, disk: DiskTarget) -> None:
    writer = disk.begin(TOKEN, "segment")
    writer.write(MIB, b"lost" * MIB)
    writer.abandon()
    writer.abandon()
    began = time.monotonic()
    disk.take_over("run/1/2", 30)

    assert time.monotonic() - began < 10, "nobody works on it, so nobody need be waited for"
    assert disk.outcome(writer.task) is not TaskOutcome.SUCCESS
    assert disk.outcome(writer.task) is not TaskOutcome.PENDING
    written(disk, {MIB: b"sent" * MIB}, token="run/1/2")
    assert opened.read(MIB, 4 * MIB) == b"sent" * MIB
    assert not opened.held()


def test_what_no_record_can_hold_is_never_sent(opened: Opened, disk: DiskTarget) -> None:
    end = disk.virtual_size
    for offset, length in ((4096, 1000), (100, 4096), (end, 4096), (end - 4096, 8192), (-4096, 4096)):
        writer = disk.begin(TOKEN, "segment")
        assert code_of(writer.write, offset, bytes(length)) == "internal", (offset, length)
        writer.abandon()
        disk.take_over(TOKEN, 30)

    assert set(opened.read(0, 8192)) == {opened.fresh}


def test_nothing_to_write_is_no_record(opened: Opened, disk: DiskTarget) -> None:
    """One of length 0 at offset 0 would be the terminator."""
    written(disk, {0: b"", 4096: b"x" * 4096})

    assert opened.read(4096, 4096) == b"x" * 4096


def test_a_segment_may_carry_as_much_as_it_says(opened: Opened, disk: DiskTarget) -> None:
    disk.begin(TOKEN, "what the host takes is known now").abandon()
    disk.take_over(TOKEN, 30)
    most = disk.most_per_segment
    count = min(most or 1 << 40, 8 * MIB)
    data = random.Random(2).randbytes(count)

    written(disk, {0: data})

    assert most is None or most >= 1 * MIB
    assert opened.read(0, count) == data


def test_only_the_writer_whose_token_is_on_the_disk_writes(opened: Opened, disk: DiskTarget) -> None:
    disk.check_token(TOKEN)
    other = opened.open()
    other.take_over("run/1/2", 10)

    assert code_of(disk.check_token, TOKEN) == "xapi.superseded"
    assert code_of(disk.begin, TOKEN, "segment") == "xapi.superseded"
    other.check_token("run/1/2")
    written(other, {0: b"mine" * 1024}, token="run/1/2")
    assert opened.read(0, 4096) == b"mine" * 1024


def test_one_in_mid_segment_whose_token_was_taken_writes_no_more(opened: Opened, disk: DiskTarget) -> None:
    zombie = disk.begin(TOKEN, "segment")
    zombie.write(0, b"z" * 4096)
    other = opened.open()
    other.take_over("run/1/2", 0.2)
    written(other, {0: b"w" * MIB}, token="run/1/2")

    with pytest.raises(FerryError):
        for _ in range(64):
            zombie.write(0, b"z" * MIB)
        zombie.terminate()
        zombie.confirm(5)

    assert opened.read(0, MIB) == b"w" * MIB
