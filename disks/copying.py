"""The copying of one plan onto one disk: segments, each durable before the next is begun (SAFETY 1-4, 7, 13)."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from contracts.errors import FerryError
from disks.batches import Batch, batches
from disks.extents import Extent, both, clipped, merged, subtracted
from disks.ledger import Ledger
from disks.manifest import ZERO_DIGEST, Manifest
from disks.plan import Plan
from disks.protocols import DiskSource, DiskTarget, SegmentWriter, TaskOutcome
from disks.reading import Read, ReadAhead

SEGMENT_SECONDS = 600.0
"""A segment ends after that long however little it carried: no PUT comes near XAPI's 24 h limit."""
CONFIRM_PATIENCE = 600.0
"""Seconds for the task to end after the terminator: fsync and detach of a busy SR take minutes at worst."""
TAKE_OVER_PATIENCE = 30.0
"""Seconds for an older writer to end by itself: one that lives hears of it within two; past them it is evicted."""
REDOS = 5
"""Failures of one segment in a row before the activity gives up and Temporal waits longer."""


@dataclass
class Meter:
    """What the heartbeats tell; written by the copying thread, read by another."""

    done: int = 0
    total: int = 0
    in_flight: int = 0
    moved: int = field(default=0, repr=False)


@dataclass
class Copying:
    """One attempt to bring one plan to its end.

    Attributes:
        token: this attempt's writer token (run, activity, attempt).
        label: how its XAPI tasks are named: VM and disk.
        cut: set from outside to end the open segment early and stop.
        allow: waits until that many bytes more may pass; False when it was cut meanwhile.
    """

    source: DiskSource
    target: DiskTarget
    ledger: Ledger
    manifest: Manifest
    token: str
    label: str
    segment_bytes: int
    cut: threading.Event
    meter: Meter = field(default_factory=Meter)
    sleep: Callable[[float], None] = time.sleep
    allow: Callable[[int, threading.Event], bool] = lambda count, cut: True
    _reading: ReadAhead | None = None

    def run(self, plan: Plan) -> bool:
        """Send what is not yet durable.

        Returns:
            True when the whole plan is on the target, False when it was cut.

        Raises:
            FerryError: as the source and target raise, the source's only when all that it gave is durable;
                ``xapi.segment_failed`` after several tries.
        """
        try:
            return self._run(plan)
        finally:
            self._stop_reading()

    def _run(self, plan: Plan) -> bool:
        self.meter.total = plan.bytes
        suspects = self._settle()
        redos = 0
        while (position := self.ledger.standing.position) < plan.bytes:
            self.meter.done, self.meter.in_flight = position, 0
            if self.cut.is_set():
                return False
            try:
                self._segment(plan, position, suspects=suspects)
                suspects = redos = 0
            except FerryError as error:
                if error.code != "xapi.segment_failed" or redos >= REDOS:
                    raise
                redos += 1
                suspects = max(suspects, self.meter.in_flight)
                self.sleep(min(30.0, 0.5 * 2**redos))
                self.target.take_over(self.token, TAKE_OVER_PATIENCE)
        self.meter.done, self.meter.in_flight = plan.bytes, 0
        return True

    def _settle(self) -> int:
        """Take the disk over, and find out about the segment that an earlier attempt left open.

        Returns:
            Bytes that an earlier attempt may have sent without their being durable: the next segment sends
            them again. A guess from above, since a killed worker took the true number with it.
        """
        unsettled = self.ledger.standing.open_segment
        self.target.take_over(self.token, TAKE_OVER_PATIENCE)
        self.ledger.attempt(self.token)
        if unsettled is None:
            return 0
        # Both together, neither alone: the terminator was sent, and the task succeeded (SAFETY 2).
        if unsettled.upto is not None and self.target.outcome(unsettled.task) is TaskOutcome.SUCCESS:
            self.ledger.done(unsettled.number, unsettled.upto, unsettled.sent, 0, self.manifest)
            self.target.forget(unsettled.task)
            return 0
        self.target.forget(unsettled.task)
        return self.segment_bytes

    def _segment(self, plan: Plan, position: int, *, suspects: int) -> None:
        """Send one segment and wait until it is durable, or pass over a run of zeros.

        A source that fails ends the segment as a cut does: what it gave is made durable before the error is raised.
        """
        number = self.ledger.standing.segments
        digests: dict[int, bytes] = {}
        writer: SegmentWriter | None = None
        lost: FerryError | None = None
        sent, upto, bound, began = 0, position, 0, time.monotonic()
        self.meter.in_flight = 0
        reading = self._reading_from(plan, position)
        try:
            while not self.cut.is_set():
                try:
                    read = reading.peek()
                except FerryError as error:
                    lost = error
                    break
                if read is None or (sent and sent + _bytes(read.batch) > self._most()):
                    break
                batch = read.batch
                if not self.allow(len(read.data), self.cut):
                    break
                bound = bound or (max(batch.upto, position + self.segment_bytes) if plan.unsure else plan.bytes)
                if batch.upto > bound:
                    break
                for start, piece in self._to_send(plan, read):
                    if writer is None:
                        writer = self.target.begin(self.token, f"{self.label} / segment {number}")
                        self.ledger.begin_segment(number, writer.task, position, bound)
                    writer.write(start, piece)
                    sent += len(piece)
                    self.meter.in_flight = sent
                    self.meter.moved += len(piece)
                digests.update(read.digests)
                upto = batch.upto
                reading.pop()
                if sent >= self._most() or time.monotonic() - began > SEGMENT_SECONDS:
                    break
            if writer is not None:
                writer.terminate()
                self.ledger.terminated(number, upto, sent, digests)
                writer.confirm(CONFIRM_PATIENCE)
        except BaseException:
            if writer is not None:
                writer.abandon()
            raise
        if writer is not None:
            self.target.check_token(self.token)  # a zombie that wakes here learns that it is one (SAFETY 13)
            self.ledger.done(number, upto, sent, min(sent, suspects), self.manifest)
            self.target.forget(writer.task)
        elif upto > position:
            self.ledger.passed_over(upto, digests, self.manifest)
        if lost is not None and not self.cut.is_set():  # a read that was hung up by the cut is no failure
            raise lost

    def _most(self) -> int:
        most = self.target.most_per_segment
        return self.segment_bytes if most is None else min(most, self.segment_bytes)

    def _reading_from(self, plan: Plan, position: int) -> ReadAhead:
        """Reading goes on over the borders of segments: a stream cannot be read twice, and no border costs a pause."""
        if self._reading is None or self._reading.position != position:
            self._stop_reading()
            wanted = batches(plan.extents, block=self.manifest.block, capacity=self.source.capacity, position=position)
            self._reading = ReadAhead(self.source, wanted, block=self.manifest.block, position=position)
        return self._reading

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _to_send(self, plan: Plan, read: Read) -> Iterator[tuple[int, memoryview]]:
        start = read.batch.span.start
        for extent in read.batch.send:
            for part in self._parts(plan, extent, read.digests):
                with read.data[part.start - start : part.end - start] as piece:
                    yield part.start, piece

    def _parts(self, plan: Plan, extent: Extent, digests: dict[int, bytes]) -> Iterable[Extent]:
        """What must be sent of an extent of the plan, ascending."""
        block = self.manifest.block
        if plan.skip_zeros:  # (SAFETY 5)
            return _in_blocks(extent, lambda number: digests[number] != ZERO_DIGEST, block)
        if not plan.unsure:
            return (extent,)
        unsure = clipped(plan.unsure, extent)
        differing = _in_blocks(extent, lambda number: digests[number] != self.manifest.digest(number), block)
        return merged([*subtracted([extent], unsure), *both(unsure, differing)])


def _in_blocks(extent: Extent, wanted: Callable[[int], bool], block: int) -> Iterator[Extent]:
    """The parts of the extent that lie in wanted blocks, neighbours joined."""
    start: int | None = None
    for number in range(extent.start // block, -(-extent.end // block)):
        at = max(extent.start, number * block)
        if not wanted(number):
            if start is not None:
                yield Extent(start, at)
                start = None
        elif start is None:
            start = at
    if start is not None:
        yield Extent(start, extent.end)


def _bytes(batch: Batch) -> int:
    return sum(each.length for each in batch.send)
