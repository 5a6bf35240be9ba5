"""The landmark of a disk: its change id, with all that must be the same for it to be believed (vsphere.md §2).

Its word is what :attr:`contracts.steps.FrozenDisk.change_id` carries, what the store keeps, and what comes back to
``changed_since``: a JSON list of the fields of :class:`Landmark`, in their order.
"""

import json
from typing import NamedTuple

from contracts.errors import FerryError

PRESENT = "+"
"""Ends the list of other people's snapshots where some of them are there now."""


class Landmark(NamedTuple):
    """What a delta is counted from.

    Attributes:
        change_id: ``uuid/number``.
        capacity: bytes.
        base: descriptor path of the chain's base.
        foreign: other people's snapshots that were met so far (see :mod:`platforms.vsphere.marks`).
    """

    change_id: str
    backing_uuid: str
    key: int
    capacity: int
    base: str
    foreign: str = ""

    def word(self) -> str:
        """As it is kept; empty where nothing is tracked."""
        return json.dumps(self, separators=(",", ":")) if self.change_id else ""

    @staticmethod
    def parse(word: str) -> "Landmark":
        """Raises ``vsphere.change_tracking_unusable``: what cannot be read cannot be believed."""
        try:
            change_id, backing_uuid, key, capacity, base, *rest = json.loads(word)
            return Landmark(str(change_id), str(backing_uuid), int(key), int(capacity), str(base), *map(str, rest))
        except (ValueError, TypeError):
            raise FerryError("vsphere.change_tracking_unusable", f"{word[:80]!r} is no landmark") from None


_SAME = {
    "backing_uuid": "the disk's backing uuid is not what it was",
    "key": "the disk's device key is not what it was",
    "capacity": "the disk's capacity is not what it was",
    "base": "the disk's files were moved",
    "foreign": "a snapshot that is not ours was there in between",
}


def distrust(then: Landmark, now: Landmark) -> str:
    """Why changes since then cannot be believed; empty when they can (SAFETY 11)."""
    if not now.change_id:
        return "the disk has no change id"
    (before, _, first), (after, _, last) = then.change_id.rpartition("/"), now.change_id.rpartition("/")
    if not before or not (first.isdigit() and last.isdigit()):
        return f"{then.change_id!r} or {now.change_id!r} is not of the form of a change id"
    if before != after:
        return "the uuid part of the change id differs: tracking was reset"
    if int(last) < int(first):
        return "the change id went backwards: the machine was reverted"
    if now.foreign.endswith(PRESENT):
        return "a snapshot that is not ours is there"
    return next((told for name, told in _SAME.items() if getattr(then, name) != getattr(now, name)), "")
