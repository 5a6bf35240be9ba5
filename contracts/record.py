"""The record of a migration: entries that each hold the digest of the one before, so that no edit goes unseen.

Pure. An entry's digest is the SHA-256 of its canonical JSON without the digest itself. What the file of an export looks
like, and how it is checked, is in :mod:`contracts.record_file`.
"""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, Field

from contracts.base import Contract, Request
from contracts.sites import Site

RECORD_PLACE = "record"
"""In the store, where a disk's id would stand: no disk has that one."""
GENESIS = "0" * 64
"""What comes before the first entry."""
TEXT_MOST, ITEMS_MOST = 2000, 200
"""Characters of one text, and parts of one list: an entry stays small, whatever a platform answered."""

Said = dict[str, Any]


class Entry(Contract):
    """One thing that happened. ``kind``: begun, phase, message, decision, step, outcome, pass, parked or ended."""

    seq: int
    at: str = Field(description="ISO 8601, by Temporal's clock")
    kind: str
    said: Said = {}
    prev: str
    digest: str = ""


class RecordState(Contract):
    """What a migration carries of its record: the end of the chain, and entries that are not in the store yet."""

    head: str = GENESIS
    count: int = 0
    pending: tuple[Entry, ...] = ()


class RecordEnd(RecordState):
    """What the query ``record`` answers: the end of the record, and where the rest is."""

    migration: str = ""
    store_id: str = ""
    site: str = ""


class AppendRecord(Contract):
    """Put entries into the store. ``store_id`` is empty where no preflight has told it."""

    migration: str
    store_id: str = ""
    entries: tuple[Entry, ...]


class ReadRecord(Request):
    """A page of a record that is in the store, up to the entry with the digest ``head``."""

    migration: str = Field(min_length=1, max_length=200)
    store_id: str = ""
    head: str = Field(min_length=64, max_length=64)
    after: int = Field(default=0, ge=0, description="entries of lower numbers are known already")
    site: Site = ""


class RecordPage(Contract):
    """Entries in order. ``total``: how many there are up to the head."""

    entries: tuple[Entry, ...] = ()
    total: int = 0


def canonical(plain: Any) -> bytes:
    """The one way in which a value is written. Raises ValueError for what JSON has not (NaN, lone surrogates)."""
    told = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return told.encode()


def sha256(plain: Any) -> str:
    """Of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(plain)).hexdigest()


def digest_of(entry: Entry) -> str:
    """What its digest must be. Of these fields alone: one that a later version adds would break old records."""
    return sha256(entry.model_dump(include={"seq", "at", "kind", "said", "prev"}))


def following(state: RecordState, kind: str, at: str, said: Said) -> Entry:
    """The next entry of a record."""
    entry = Entry(seq=state.count, at=at, kind=kind, said=_plain(said), prev=state.head)
    return entry.model_copy(update={"digest": digest_of(entry)})


def appended(state: RecordState, entry: Entry) -> RecordState:
    """The record with it."""
    return RecordState(head=entry.digest, count=entry.seq + 1, pending=(*state.pending, entry))


def report_digest(report: Said) -> str:
    """Of a report as JSON has it, without what it says of the record itself."""
    return sha256({key: value for key, value in report.items() if key not in ("record_head", "record_entries")})


def told_of(model: Any) -> Said:
    """What an order or an answer says in a few words: its numbers and texts, and not what lies deep.

    On whose behalf it was given is left out: it is the same for the whole record.
    """
    if not isinstance(model, BaseModel):
        return {} if model is None else {"value": _plain(model)}
    plain = model.model_dump(mode="json", exclude_defaults=True)
    return {key: _plain(value) for key, value in plain.items() if key != "errand" and _is_shallow(value)}


def _is_shallow(value: Any, depth: int = 2) -> bool:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_shallow(each, depth - 1) for each in parts)
    return True


def _plain(value: Any) -> Any:
    """Small, and the same after it went through JSON."""
    match value:
        case str():
            clean = value.encode(errors="replace").decode()
            return clean if len(clean) <= TEXT_MOST else clean[:TEXT_MOST] + "…"
        case float():
            return round(value, 3) if abs(value) < 1e15 else str(value)
        case bool() | int() | None:
            return value
        case dict():
            return {str(key): _plain(each) for key, each in list(value.items())[:ITEMS_MOST]}
        case list() | tuple():
            return [_plain(each) for each in list(value)[:ITEMS_MOST]]
        case _:
            return _plain(str(value))
