"""Runs of bytes on a disk, and their algebra: all lists are sorted and disjoint."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Extent(NamedTuple):
    """``[start, end)`` in bytes."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Bytes."""
        return self.end - self.start


def total(extents: Iterable[Extent]) -> int:
    """Bytes of all extents together."""
    return sum(each.end - each.start for each in extents)


def merged(extents: Iterable[Extent], *, gap: int = 0) -> list[Extent]:
    """Sort, and join what overlaps, touches, or is no more than ``gap`` bytes apart."""
    result: list[Extent] = []
    for each in sorted(each for each in extents if each.end > each.start):
        if result and each.start <= result[-1].end + gap:
            if each.end > result[-1].end:
                result[-1] = Extent(result[-1].start, each.end)
        else:
            result.append(each)
    return result


def aligned(extents: Iterable[Extent], *, to: int, capacity: int) -> list[Extent]:
    """Grow each extent outwards to multiples of ``to``, clipped at the disk's capacity, and merge."""
    return merged(
        Extent(each.start - each.start % to, min(capacity, each.end + -each.end % to))
        for each in extents
        if each.start < capacity
    )


def subtracted(extents: Iterable[Extent], others: Iterable[Extent]) -> list[Extent]:
    """The bytes of ``extents`` that are in none of ``others``."""
    result: list[Extent] = []
    holes = merged(others)
    first = 0
    for each in merged(extents):
        start = each.start
        while first < len(holes) and holes[first].end <= start:
            first += 1
        at = first
        while at < len(holes) and holes[at].start < each.end:
            if holes[at].start > start:
                result.append(Extent(start, holes[at].start))
            start = max(start, holes[at].end)
            at += 1
        if start < each.end:
            result.append(Extent(start, each.end))
    return result


def both(extents: Iterable[Extent], others: Iterable[Extent]) -> list[Extent]:
    """The bytes that are in both."""
    first = merged(extents)
    return subtracted(first, subtracted(first, others))


def clipped(extents: Sequence[Extent], within: Extent) -> list[Extent]:
    """The parts of ``extents`` that lie inside one extent; of many extents it looks at no others."""
    first = bisect_right(extents, within.start, key=lambda each: each.end)
    last = bisect_left(extents, within.end, key=lambda each: each.start)
    return [Extent(max(each.start, within.start), min(each.end, within.end)) for each in extents[first:last]]


def after_position(extents: Iterable[Extent], position: int) -> list[Extent]:
    """Leave out the first ``position`` bytes of the extents, counted along them."""
    result: list[Extent] = []
    for each in extents:
        if position >= each.length:
            position -= each.length
            continue
        result.append(Extent(each.start + position, each.end))
        position = 0
    return result
