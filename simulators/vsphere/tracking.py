"""Change tracking of one disk: what was written since when, at 64 KiB, remembered per link."""

import uuid

GRAIN = 64 << 10


class ChangeTracking:
    """Ids are ``uuid/sequence``; a snapshot gets the present sequence, and writes after it belong to the next."""

    def __init__(self) -> None:
        self.reset()
        self.left_out: list[tuple[int, int]] = []  # on order: writes there are not recorded
        self.broken = False  # enabled while snapshots were there: not tracked properly

    def reset(self) -> None:
        """As after a crash of the host, a Storage vMotion or a revert: nothing of before is known."""
        digits = uuid.uuid4().hex
        spaced = " ".join(digits[at : at + 2] for at in range(0, 32, 2))
        self.uuid = spaced[:23] + "-" + spaced[24:]
        self.sequence = 1
        self._written: dict[int, set[int]] = {}

    def record(self, offset: int, length: int) -> None:
        """A write."""
        if any(start <= offset < start + size for start, size in self.left_out):
            return
        grains = self._written.setdefault(self.sequence, set())
        grains.update(range(offset // GRAIN, -(-(offset + length) // GRAIN)))

    def close(self) -> str:
        """A snapshot: its change id; what is written from now on belongs to the next."""
        change_id = f"{self.uuid}/{self.sequence}"
        self.sequence += 1
        return change_id

    def current(self) -> str:
        """The id that the present leaf shows: whoever asks from it misses nothing."""
        return f"{self.uuid}/{self.sequence - 1}"

    def since(self, change_id: str, upto: int | None) -> set[int]:
        """Grains written after that id, up to a snapshot's sequence (None: up to now).

        Raises:
            KeyError: the id is not of this tracking.
        """
        identity, _, sequence = change_id.rpartition("/")
        if identity != self.uuid or not sequence.isdigit() or int(sequence) >= self.sequence:
            raise KeyError(change_id)
        last = self.sequence if upto is None else upto
        return set().union(*(self._written.get(each, set()) for each in range(int(sequence) + 1, last + 1)))
