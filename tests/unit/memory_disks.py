"""A source and a target in memory that keep the promises of disks.protocols, and break them on order."""

import threading
from collections.abc import Iterator

from contracts.errors import FerryError
from disks.extents import Extent, merged
from disks.protocols import TaskOutcome

GRAIN = 64 << 10


class Killed(BaseException):
    """The worker dies here."""


class MemoryGuest:
    """A disk that is written while it is copied; remembers what changed since each landmark."""

    def __init__(self, capacity: int) -> None:
        self.content = bytearray(capacity)
        self._changed: dict[int, set[int]] = {}
        self._landmark = 0

    def write(self, offset: int, data: bytes) -> None:
        data = data[: len(self.content) - offset]
        self.content[offset : offset + len(data)] = data
        for grain in range(offset // GRAIN, -(-(offset + len(data)) // GRAIN)):
            for changed in self._changed.values():
                changed.add(grain)

    def freeze(self) -> "FrozenMemory":
        self._landmark += 1
        changed = {landmark: set(grains) for landmark, grains in self._changed.items()}
        self._changed[self._landmark] = set()
        return FrozenMemory(bytes(self.content), str(self._landmark), changed)


class FrozenMemory:
    """A :class:`disks.protocols.DiskSource`."""

    def __init__(self, content: bytes, landmark: str, changed: dict[int, set[int]]) -> None:
        self.content, self.landmark = content, landmark
        self._changed = changed
        self.distrusted = ""

    @property
    def capacity(self) -> int:
        return len(self.content)

    def allocated(self) -> list[Extent]:
        grains = range(-(-len(self.content) // GRAIN))
        return merged(self._grain(each) for each in grains if any(self.content[each * GRAIN : (each + 1) * GRAIN]))

    def changed_since(self, landmark: str) -> list[Extent]:
        if self.distrusted:
            raise FerryError("vsphere.change_tracking_unusable", self.distrusted)
        return merged(self._grain(each) for each in self._changed[int(landmark)])

    asks_ahead = 0
    transport = "memory"
    reason = ""

    def ask(self, offset: int, length: int) -> None:
        pass

    def step_down(self, error: FerryError) -> bool:
        return False

    def hang_up(self) -> None:
        pass

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if offset < 0 or offset + len(buffer) > len(self.content):
            raise ValueError("past the end")
        buffer[:] = self.content[offset : offset + len(buffer)]

    def close(self) -> None:
        pass

    def _grain(self, number: int) -> Extent:
        return Extent(number * GRAIN, min((number + 1) * GRAIN, len(self.content)))


class MemoryVdi:
    """A :class:`disks.protocols.DiskTarget`. Until its task ends, a segment's range is undefined."""

    def __init__(self, virtual_size: int) -> None:
        self.content = bytearray(virtual_size)
        self.token = ""
        self.tasks: dict[str, TaskOutcome] = {}
        self.open: set[str] = set()
        self.received = 0
        self.kill_after: int | None = None  # bytes until the worker dies
        self.kill_before_confirm = False
        self.fail_segments = 0
        self.most_per_segment: int | None = None
        self.cut_at_write: threading.Event | None = None  # set by the next write
        self._lock = threading.Lock()

    @property
    def virtual_size(self) -> int:
        return len(self.content)

    def take_over(self, token: str, patience: float) -> None:
        self.token = token
        for task in sorted(self.open):
            self.tasks[task] = TaskOutcome.FAILURE
        self.open.clear()

    def check_token(self, token: str) -> None:
        if token != self.token:
            raise FerryError("xapi.superseded", "another writer")

    def begin(self, token: str, label: str) -> "MemorySegment":
        self.check_token(token)
        task = f"task-{len(self.tasks)}"
        self.tasks[task] = TaskOutcome.PENDING
        self.open.add(task)
        return MemorySegment(self, task)

    def outcome(self, task: str) -> TaskOutcome:
        return self.tasks.get(task, TaskOutcome.GONE)

    def forget(self, task: str) -> None:
        self.tasks.pop(task, None)

    def close(self) -> None:
        pass

    def blocks(self) -> Iterator[tuple[int, memoryview]]:
        view = memoryview(bytes(self.content))
        for at in range(0, len(view), 2 << 20):
            yield at, view[at : at + (2 << 20)]


class MemorySegment:
    """A :class:`disks.protocols.SegmentWriter`."""

    def __init__(self, vdi: MemoryVdi, task: str) -> None:
        self._vdi, self.task = vdi, task
        self._terminated = False
        self._announced: list[tuple[int, int]] = []

    def write(self, offset: int, data: memoryview | bytes) -> None:
        vdi, end = self._vdi, offset + len(data)
        if offset < 0 or offset % 4096 or end % 512 or end > vdi.virtual_size:
            raise FerryError("internal", f"no record can hold [{offset}, {end})")
        if vdi.tasks.get(self.task) is not TaskOutcome.PENDING:
            raise FerryError("xapi.segment_failed", "the disk was taken over")
        self._announced.append((offset, len(data)))
        if vdi.kill_after is not None:
            if vdi.kill_after < len(data):
                vdi.content[offset : offset + len(data)] = b"\xee" * len(data)  # a stale piece
                raise Killed
            vdi.kill_after -= len(data)
        vdi.content[offset : offset + len(data)] = data
        vdi.received += len(data)
        if vdi.cut_at_write is not None:
            vdi.cut_at_write.set()
            vdi.cut_at_write = None

    def terminate(self) -> None:
        self._terminated = True

    def confirm(self, patience: float) -> None:
        vdi = self._vdi
        if not self._terminated:
            raise FerryError("internal", "confirmed before it was terminated")
        if vdi.fail_segments:
            vdi.fail_segments -= 1
            for offset, length in self._announced:
                vdi.content[offset : offset + length] = b"\xdd" * length
            vdi.tasks[self.task] = TaskOutcome.FAILURE
            raise FerryError("xapi.segment_failed", "VDI_IO_ERROR")
        vdi.tasks[self.task] = TaskOutcome.SUCCESS
        vdi.open.discard(self.task)
        if vdi.kill_before_confirm:
            vdi.kill_before_confirm = False
            raise Killed

    def abandon(self) -> None:
        """The receiver fails then."""
        if self.task in self._vdi.open:
            self._vdi.tasks[self.task] = TaskOutcome.FAILURE
            self._vdi.open.discard(self.task)
