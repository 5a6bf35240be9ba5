"""What `vhd-tool serve` does with a body, row by row of what was measured (reference: xapi-receive.md)."""

import errno
import os
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

PIECE = 2 << 20
_HEADER = struct.Struct("<QI")


class Body(Protocol):
    """What comes over the connection."""

    def readinto1(self, buffer: memoryview, /) -> int:
        """As :meth:`io.BufferedReader.readinto1`: 0 at the end; raises when the connection was reset."""
        ...


class ReceiverFailed(Exception):
    """The tool ended badly; XAPI says VDI_IO_ERROR whatever it was."""


@dataclass
class BlockDevice:
    """The VDI's device: O_DIRECT, so everything is in multiples of its block size; it does not grow."""

    descriptor: int
    size: int
    block_size: int = 512
    landed: Callable[[int, int], None] = lambda offset, length: None
    loses: int | None = None
    """On order: a write over that byte is lost, and nobody is told."""
    _pulled: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def pull(self) -> None:
        """Take it from under the program that has it open: nothing lands on it once this returns."""
        with self._lock:
            self._pulled = True

    def write(self, offset: int, data: memoryview) -> None:
        """Write what lies inside; past the end is ENOSPC after that."""
        # vhd-tool asserts multiples of 512; the device itself wants its own block size.
        if offset % 512 or len(data) % 512:
            raise ReceiverFailed("unaligned")
        if offset % self.block_size or len(data) % self.block_size:
            raise ReceiverFailed(os.strerror(errno.EINVAL))
        inside = data[: max(0, self.size - offset)]
        with self._lock:
            if self._pulled:
                raise ReceiverFailed(os.strerror(errno.ENXIO))
            if self.loses is None or not offset <= self.loses < offset + len(data):
                os.pwrite(self.descriptor, inside, offset)
                self.landed(offset, len(inside))
        if len(inside) < len(data):
            raise ReceiverFailed(os.strerror(errno.ENOSPC))


def receive_chunked(stream: Body, device: BlockDevice, wrote: Callable[[int], None]) -> None:
    """Records of (offset u64, length u32, payload), little-endian, until (0, 0).

    Raises:
        ReceiverFailed: as the tool exits with an error.
        OSError: the connection was reset: the piece under way is not written.
    """
    header = bytearray(_HEADER.size)  # kept from record to record: a cut header keeps the old one's tail
    piece = memoryview(bytearray(PIECE))
    while True:
        if _fill(stream, memoryview(header)) == 0:
            raise ReceiverFailed("end of file")
        offset, length = _HEADER.unpack(header)
        if offset == 0 and length == 0:
            os.fsync(device.descriptor)
            return
        if length >= 1 << 31:
            raise ReceiverFailed("length is negative in signed arithmetic")
        done = 0
        while done < length:
            step = min(PIECE, length - done)
            if _fill(stream, piece[:step]) == 0:
                raise ReceiverFailed("end of file")
            # A short read counts as success: the tail is whatever the buffer held before.
            device.write(offset + done, piece[:step])
            wrote(step)
            done += step


def receive_raw(stream: Body, device: BlockDevice, size: int, wrote: Callable[[int], None]) -> None:
    """Linear from 0. A body that ends inside the last piece ends in success with a stale tail: never use it."""
    if size <= 0:
        raise ReceiverFailed("Non-zero size required")
    piece = memoryview(bytearray(PIECE))
    done = 0
    while done < size:
        step = min(PIECE, size - done)
        if _fill(stream, piece[:step]) == 0:
            raise ReceiverFailed("end of file")
        device.write(done, piece[:step])
        wrote(step)
        done += step
    os.fsync(device.descriptor)


def _fill(stream: Body, buffer: memoryview) -> int:
    """Read until the buffer is full or the stream ends; how many bytes came."""
    at = 0
    while at < len(buffer):
        count = stream.readinto1(buffer[at:])
        if not count:
            break
        at += count
    return at
