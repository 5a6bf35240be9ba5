"""The landmark of a disk: its change id, with all that must be the same for it to be believed (vsphere.md §2)."""

import json
from typing import NamedTuple

from contracts.errors import FerryError


class Landmark(NamedTuple):
    """What a delta is counted from."""

    change_id: str
    backing_uuid: str
    key: int
    capacity: int
    base: str

    def word(self) -> str:
        """As it is kept in the store and in the freeze; empty where nothing is tracked."""
        return json.dumps(self, separators=(",", ":")) if self.change_id else ""

    @staticmethod
    def parse(word: str) -> "Landmark":
        """Raises ``store.damaged``."""
        try:
            return Landmark(*json.loads(word))
        except (ValueError, TypeError) as error:
            raise FerryError("store.damaged", f"{word[:80]!r} is no landmark: {error}") from None


def distrust(then: Landmark, now: Landmark) -> str:
    """Why changes since then cannot be believed; empty when they can (SAFETY 11)."""
    if not now.change_id:
        return "the disk has no change id"
    if then.change_id.rpartition("/")[0] != now.change_id.rpartition("/")[0]:
        return "the uuid part of the change id differs: tracking was reset"
    for name in ("backing_uuid", "key", "capacity", "base"):
        if getattr(then, name) != getattr(now, name):
            return f"the disk's {name.replace('_', ' ')} is not what it was"
    return ""
