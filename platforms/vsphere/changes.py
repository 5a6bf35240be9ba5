"""QueryChangedDiskAreas: looped to the capacity, and not believed when it talks nonsense (SAFETY 11)."""

from collections.abc import Callable
from typing import Any

from contracts.errors import FerryError
from disks.extents import Extent, merged

Query = Callable[[int, str], Any]
"""Start offset and change id to a DiskChangeInfo."""
MOST_ANSWERS = 1_000_000


def changed_areas(query: Query, change_id: str, capacity: int) -> list[Extent]:
    """All extents that changed since the id; ``*`` asks for what is allocated.

    One answer is never the whole: at most 2,000 extents, and a limited span. The next question begins where the
    answer says that it ends; asking at the capacity itself is an error there.

    Raises:
        FerryError: ``vsphere.change_tracking_unusable``.
    """
    found: list[Extent] = []
    start = 0
    for _ in range(MOST_ANSWERS):
        if start >= capacity:
            return merged(found)
        answer = query(start, change_id)
        begin, length = int(answer.startOffset), int(answer.length)
        if begin != start or length <= 0:
            raise _nonsense(f"asked at {start}, it answers for {begin} with length {length}")
        last = begin
        for area in answer.changedArea or []:
            first, end = int(area.start), int(area.start) + int(area.length)
            if first < last or end <= first or first >= capacity:
                raise _nonsense(f"the extent {first}+{area.length} is out of order or outside the disk")
            found.append(Extent(first, min(end, capacity)))
            last = end
        start = begin + length
    raise _nonsense("it never comes to the end of the disk")


def _nonsense(told: str) -> FerryError:
    return FerryError("vsphere.change_tracking_unusable", told)
