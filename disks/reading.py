"""Reading ahead: several reads under way at once, handed on in order, in a fixed set of buffers."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from disks.batches import Batch
from disks.protocols import DiskSource

WINDOW = 6
"""Buffers per disk: with 2 MiB each, 12 MiB are all that reading ahead ever holds."""


class ReadAhead:
    """The wanted batches with their bytes, in order: :meth:`peek` at the next, :meth:`pop` it when it is done with.

    Args:
        wanted: in ascending order; asked for lazily.
        position: where in the plan the first of them begins.
    """

    def __init__(self, source: DiskSource, wanted: Iterator[Batch], position: int = 0) -> None:
        self.position = position
        self._source = source
        self._wanted = wanted
        self._pool = ThreadPoolExecutor(source.reads_at_once, thread_name_prefix="read-ahead")
        self._free: list[bytearray] = []
        self._made = 0
        self._under_way: deque[tuple[Batch, bytearray, Future[None]]] = deque()
        self._shown: memoryview | None = None

    def __enter__(self) -> "ReadAhead":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[Batch, memoryview]]:
        while (next_one := self.peek()) is not None:
            yield next_one
            self.pop()

    def peek(self) -> tuple[Batch, memoryview] | None:
        """The next batch and its bytes, which stand until it is popped; None at the end.

        Raises:
            FerryError: the source's.
        """
        self._fill()
        if not self._under_way:
            return None
        batch, buffer, read = self._under_way[0]
        read.result()
        if self._shown is None:
            self._shown = memoryview(buffer)[: batch.span.length]
        return batch, self._shown

    def pop(self) -> None:
        """Done with the batch that was peeked at: its buffer is read into again."""
        batch, buffer, _ = self._under_way.popleft()
        if self._shown is not None:
            self._shown.release()
            self._shown = None
        self.position = batch.upto
        self._free.append(buffer)
        self._fill()

    def close(self) -> None:
        """Read no further; wait for what is under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fill(self) -> None:
        while (self._free or self._made < WINDOW) and (batch := next(self._wanted, None)) is not None:
            buffer = self._free.pop() if self._free else bytearray()
            self._made += 0 if buffer else 1
            if len(buffer) < batch.span.length:
                buffer = bytearray(batch.span.length)
            self._under_way.append((batch, buffer, self._pool.submit(self._read, batch, buffer)))

    def _read(self, batch: Batch, buffer: bytearray) -> None:
        with memoryview(buffer) as whole, whole[: batch.span.length] as view:
            self._source.read_into(batch.span.start, view)
