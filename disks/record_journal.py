"""The record of a migration in the store: one line for each batch of entries, beside the journals of its disks."""

import json
from collections.abc import Iterable

from pydantic import ValidationError

from contracts.errors import FerryError
from contracts.record import GENESIS, RECORD_PLACE, Entry, canonical, digest_of
from disks.store import Store


def append_entries(store: Store, migration: str, entries: Iterable[Entry]) -> None:
    """Durable when it returns. A batch that an earlier attempt has written is not written again."""
    shelf = store.disk(migration, RECORD_PLACE)
    line = canonical([entry.model_dump() for entry in entries]) + b"\n"
    if line not in shelf.journal().splitlines(keepends=True):
        shelf.append(line)


def read_entries(store: Store, migration: str, head: str) -> list[Entry]:
    """The chain that ends with an entry, from its beginning.

    An entry may be there twice (a worker that slept), and others beside it that no chain leads to (a Temporal that was
    set back to a backup): only what the head leads to counts.

    Raises:
        FerryError: ``record.broken`` where an entry of the chain is not there, or is no longer what it was.
    """
    found: dict[str, Entry] = {}
    for each in all_entries(store, migration):
        found.setdefault(each.digest, each)
    chain: list[Entry] = []
    wanted = head
    while wanted != GENESIS:
        entry = found.get(wanted)
        if entry is None or digest_of(entry) != wanted:
            state = "was changed in the store" if entry is not None else "is not in the store"
            number = f"entry {chain[-1].seq - 1}" if chain else "the last entry"
            raise FerryError("record.broken", f"{number} of the record of {migration} {state}")
        chain.append(entry)
        wanted = entry.prev
    return chain[::-1]


def all_entries(store: Store, migration: str) -> list[Entry]:
    """Whatever lies there, chained or not."""
    return [entry for line in store.disk(migration, RECORD_PLACE).journal().splitlines() for entry in _entries_of(line)]


def _entries_of(line: bytes) -> list[Entry]:
    """Those of a torn or foreign line are none: whether one is missing tells the chain."""
    try:
        return [Entry.model_validate(each) for each in json.loads(line)]
    except (ValueError, TypeError, RecursionError, ValidationError):
        return []
