"""Looking into the store's journals: how far the copies really are, whatever anyone says.

``<store>/migrations/<migration>/<disk>/journal.jsonl``, one JSON object a line, durable when written.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from contracts.record import RECORD_PLACE


def segments_in_journal(store: Path) -> dict[str, int]:
    """Durable segments of each disk that has a journal, over all migrations in the store."""
    return {file.parent.name: _events(file)["done"] for file in _journals(store)}


def bytes_under_way(store: Path) -> bool:
    """Whether some disk is in the middle of a segment: a crash now means that it is sent again."""
    return any(_last_event(file) == "sending" for file in _journals(store))


def in_initial_sync(store: Path) -> bool:
    """Whether the first pass has begun on some disk and was closed on none."""
    events = [_events(file) for file in _journals(store)]
    return any(each["plan"] for each in events) and not any(each["closed"] for each in events)


def _journals(store: Path) -> Iterator[Path]:
    """Of disks: the record of the migration lies beside them."""
    found = sorted(store.glob("migrations/*/*/journal.jsonl"))
    return (file for file in found if file.parent.name != RECORD_PLACE)


def _events(file: Path) -> Counter[str]:
    """How often each event is there; a line that is being written does not count."""
    return Counter(_in_order(file))


def _last_event(file: Path) -> str:
    events = list(_in_order(file))
    return events[-1] if events else ""


def _in_order(file: Path) -> Iterator[str]:
    for line in file.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield str(record.get("event"))
