"""What :class:`disks.protocols.ReadBack` promises, of every way to read a stored disk back.

The other way, by ranges (:class:`disks.protocols.RangeReader`), is among the sources.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import FerryError
from disks.protocols import ReadBack
from simulators.faults import FaultRule
from tests.conformance.promises.sources import content
from tests.conformance.promises.stored import READ_BACKS

Opened = tuple[Callable[[], ReadBack], bytes, Callable[[FaultRule], Any] | None]
MIB = 1 << 20


@pytest.fixture(params=READ_BACKS, ids=READ_BACKS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    with READ_BACKS[request.param](tmp_path, content()) as opened:
        yield opened


def put_together(reading: ReadBack) -> bytes:
    """Each byte at most once; what is not told is zeros."""
    disk, seen = bytearray(reading.virtual_size), bytearray(reading.virtual_size)
    for offset, piece in reading.blocks():
        assert 0 <= offset < offset + len(piece) <= len(disk)
        assert not any(seen[offset : offset + len(piece)]), f"[{offset}, {offset + len(piece)}) comes twice"
        disk[offset : offset + len(piece)] = piece
        seen[offset : offset + len(piece)] = b"\1" * len(piece)
    return bytes(disk)


def test_it_tells_every_byte_once_as_it_is_stored(opened: Opened) -> None:
    read_back, stored, _ = opened
    reading = read_back()

    assert reading.virtual_size == len(stored)
    assert put_together(reading) == stored
    reading.close()
    reading.close()


def test_it_is_read_as_often_as_one_likes(opened: Opened) -> None:
    read_back, stored, _ = opened
    for _ in range(2):
        reading = read_back()
        assert put_together(reading) == stored
        reading.close()


def test_one_that_is_left_in_the_middle_holds_nothing_up(opened: Opened) -> None:
    read_back, stored, _ = opened
    reading = read_back()
    next(reading.blocks())
    reading.close()

    again = read_back()
    assert put_together(again) == stored
    again.close()


@pytest.mark.parametrize("way", ["VHD", "raw"])
@pytest.mark.parametrize("action", ["drop", "eof"])
@pytest.mark.parametrize("after", [0, 100_000, 2 * MIB, 4 * MIB + 7])
def test_one_that_ends_early_is_never_taken_for_the_whole(tmp_path: Path, way: str, action: str, after: int) -> None:
    with READ_BACKS[way](tmp_path, content()) as (read_back, _, spoil):
        spoil(FaultRule(method="GET /export_raw_vdi", action=action, argument=after))
        reading = read_back()

        with pytest.raises(FerryError) as told:
            put_together(reading)

        assert told.value.code == "xapi.read_back_failed"
        reading.close()
