"""A disk that nobody lets us read back, proven by one checksum of all of it, beside the same of the source."""

import hashlib

from disks.proving import Finding

_ZEROS = bytes(1 << 20)


class Md5:
    """The MD5 of a disk that is read in order from its first byte to its last."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """From the first byte, again."""
        self._digest, self._length = hashlib.md5(usedforsecurity=False), 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """The bytes that come next."""
        self._digest.update(data)
        self._length += len(data)

    def padded(self, size: int) -> str:
        """As hex, of a disk of that many bytes: what was not read is zeros (xapi.md §4.3)."""
        while self._length < size:
            self.update(memoryview(_ZEROS)[: size - self._length])
        return self._digest.hexdigest()


def sent_as_summed(read: Finding, source: str, target: str) -> tuple[Finding, str]:
    """What a checksum tells of *target = what was sent*, and in words.

    Args:
        read: the source beside the manifest.
        source: MD5 of what was read, padded.
        target: MD5 of the target.
    """
    if source == target:  # byte for byte: so it differs from what was sent wherever the source does
        words = "they are equal" if read.holds else "they are equal, and both differ from what was sent"
        return Finding(read.blocks, read.bytes_read, read.different, read.differences, read.extents), words
    if read.holds:
        return Finding(read.blocks, read.bytes_read, different=1), "they differ; a checksum tells no place"
    words = "they differ, and the source from what was sent: what the target holds cannot be told by a checksum"
    return Finding(read.blocks, read.bytes_read, different=1), words
