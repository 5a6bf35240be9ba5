"""The journal of a disk: the resume point (SAFETY 2, 3). One JSON object a line, each line durable when written.

| event        | says                                                                                        |
| ------------ | ------------------------------------------------------------------------------------------- |
| `attempt`    | a writer with this token took the disk over; lines of older tokens that follow do not count |
| `plan`       | plan-<pass>.json is the plan now                                                            |
| `sending`    | a segment from position to at most the bound, with its task                                 |
| `terminated` | all 12 bytes of its terminator were sent                                                    |
| `done`       | its task succeeded: everything up to this position of the plan is on the target             |
| `closed`     | the pass ended: complete, cut (the rest is owed) or void (all of it is owed)                |
| `proven`     | a read-back of the whole disk held; what is written from here on is to be proven again      |
| `differs`    | a read-back of that snapshot found other bytes there than were sent: they are owed          |
| `diverged`   | the target is about to be started                                                           |

Positions are bytes counted along the plan's extents.
"""

import json
import os
from pathlib import Path
from typing import Any

from contracts.errors import FerryError

MAX_LINE = 1 << 20


class Journal:
    """Append-only lines. A last line that a crash tore is ignored."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def append(self, event: str, **facts: Any) -> dict[str, Any]:
        """Write one line; durable when this returns.

        Raises:
            FerryError: ``store.unwritable``.
        """
        record = {"event": event, **facts}
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        try:
            descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line  # close off a line that a crash tore
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise FerryError("store.unwritable", f"{self.file}: {error.strerror}") from None
        return record

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines, oldest first.

        Raises:
            FerryError: ``store.damaged`` for a line that is neither whole nor torn by a crash.
        """
        if not self.file.exists():
            return []
        records: list[dict[str, Any]] = []
        for number, line in enumerate(self.file.read_bytes().split(b"\n"), start=1):
            if not line:
                continue
            try:
                record = json.loads(line)
            except ValueError:
                # Only a crash in the middle of a write leaves half a line: it starts well and has no end.
                if line.startswith(b'{"event":') and not line.endswith(b"}"):
                    continue
                raise FerryError("store.damaged", f"{self.file} line {number} is no journal line") from None
            if not isinstance(record, dict):
                raise FerryError("store.damaged", f"{self.file} line {number} is no journal line")
            records.append(record)
        return records
