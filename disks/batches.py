"""A plan cut into batches: runs of whole digest blocks that are read at once, and what of them is sent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from disks.extents import Extent, total


@dataclass(frozen=True)
class Batch:
    """One read.

    Attributes:
        span: whole digest blocks, clipped at the capacity; what is read and digested.
        send: the plan's extents inside the span; what is sent of it.
        upto: position in the plan when all of it is sent.
    """

    span: Extent
    send: tuple[Extent, ...]
    upto: int


def batches(
    extents: Sequence[Extent], *, block: int, capacity: int, position: int = 0, most: int = 2 << 20
) -> Iterator[Batch]:
    """Cut a plan's extents, from a position on, into batches of at most ``most`` bytes.

    Each batch's blocks are neighbours, so that one ranged read serves it. A block that two extents touch is in
    one batch with both. Lazy, since a plan may have a hundred thousand extents and a disk terabytes.

    Args:
        extents: sorted, disjoint.
        block: bytes per digest.
        position: bytes along the extents that are done already.
    """
    sends: list[Extent] = []
    start = end = 0
    for piece in _pieces(extents, position, block):
        first = piece.start - piece.start % block
        last = first + block
        if sends and (first > end or last - start > most):
            position += total(sends)
            yield Batch(Extent(start, min(end, capacity)), tuple(_joined(sends)), position)
            sends = []
        if not sends:
            start = first
        end = last
        sends.append(piece)
    if sends:
        position += total(sends)
        yield Batch(Extent(start, min(end, capacity)), tuple(_joined(sends)), position)


def _pieces(extents: Sequence[Extent], position: int, block: int) -> Iterator[Extent]:
    """The extents from a position on, cut at the borders of digest blocks."""
    for each in extents:
        if position >= each.length:
            position -= each.length
            continue
        at = each.start + position
        position = 0
        while at < each.end:
            upto = min(each.end, at - at % block + block)
            yield Extent(at, upto)
            at = upto


def _joined(pieces: list[Extent]) -> Iterator[Extent]:
    start, end = pieces[0]
    for each in pieces[1:]:
        if each.start != end:
            yield Extent(start, end)
            start = each.start
        end = each.end
    yield Extent(start, end)
