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
| `diverged`   | the target is about to be started, in the cutover of that epoch                             |
| `undiverged` | in that cutover it was not started after all, for certain                                   |

Positions are bytes counted along the plan's extents.
"""

import json
from typing import Any

from contracts.errors import FerryError
from disks.store import Shelf


class Journal:
    """Append-only lines. A last line that a crash tore is ignored."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def append(self, event: str, **facts: Any) -> dict[str, Any]:
        """Write one line; durable when this returns.

        Raises:
            FerryError: ``store.unwritable``.
        """
        record = {"event": event, **facts}
        self._shelf.append(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        return record

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines, oldest first.

        Raises:
            FerryError: ``store.damaged`` for a line that is neither whole nor torn by a crash.
        """
        records: list[dict[str, Any]] = []
        for number, line in enumerate(self._shelf.journal().split(b"\n"), start=1):
            if not line:
                continue
            try:
                record = json.loads(line)
            except ValueError:
                # Only a crash in the middle of a write leaves half a line: it starts well and has no end.
                if line.startswith(b'{"event":') and not line.endswith(b"}"):
                    continue
                raise FerryError("store.damaged", f"line {number} of the journal is no journal line") from None
            if not isinstance(record, dict):
                raise FerryError("store.damaged", f"line {number} of the journal is no journal line")
            records.append(record)
        return records
