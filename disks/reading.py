"""Reading ahead: several ranged reads under way at once, handed on in order, in a fixed set of buffers."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from disks.batches import Batch
from disks.protocols import DiskSource

CONNECTIONS = 4
"""Reads at once per disk: a host throttles each connection (vsphere.md §1a), and more gain nothing on 2 cores."""
WINDOW = 6
"""Buffers per disk: with 2 MiB each, 12 MiB are all that reading ahead ever holds."""


class ReadAhead:
    """Iterate to get each batch with its bytes; a memoryview is valid until the next one is asked for."""

    def __init__(self, source: DiskSource, wanted: Iterator[Batch]) -> None:
        self._source = source
        self._wanted = wanted
        self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="read-ahead")
        self._free: list[bytearray] = []
        self._made = 0
        self._under_way: deque[tuple[Batch, bytearray, Future[None]]] = deque()

    def __enter__(self) -> "ReadAhead":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[Batch, memoryview]]:
        self._fill()
        while self._under_way:
            batch, buffer, read = self._under_way.popleft()
            read.result()
            with memoryview(buffer) as whole, whole[: batch.span.length] as data:
                yield batch, data
            self._free.append(buffer)
            self._fill()

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
