"""All records of the pool, by class and opaque ref."""

import threading
import uuid
from typing import Any

from simulators.xapi.failure import NULL, XapiFailure
from simulators.xapi.signatures import default_of, fields

Record = dict[str, Any]


class Database:
    """Records are plain dicts with the data model's field names. Hold ``lock`` while changing several."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._records: dict[str, dict[str, Record]] = {}

    def add(self, cls: str, **values: Any) -> str:
        """A new record, with the data model's defaults; answers its ref."""
        ref = f"OpaqueRef:{uuid.uuid4()}"
        record = {name: default_of(each[0], each[4]) for name, each in fields(cls).items()}
        if "uuid" in record:
            record["uuid"] = str(uuid.uuid4())
        record.update(values)
        with self.lock:
            self._records.setdefault(cls, {})[ref] = record
        return ref

    def get(self, cls: str, ref: str) -> Record:
        """Raises HANDLE_INVALID."""
        record = self._records.get(cls, {}).get(ref)
        if record is None:
            raise XapiFailure("HANDLE_INVALID", cls, ref)
        return record

    def has(self, cls: str, ref: str) -> bool:
        """Whether there is such a record."""
        return ref in self._records.get(cls, {})

    def remove(self, cls: str, ref: str) -> None:
        """Forget a record."""
        with self.lock:
            self._records.get(cls, {}).pop(ref, None)

    def forget_snapshot(self, cls: str, ref: str, original: str) -> None:
        """A snapshot is gone: its original, if it is still there, no longer names it."""
        if self.has(cls, original):
            self.get(cls, original)["snapshots"].remove(ref)

    def all(self, cls: str) -> dict[str, Record]:
        """A copy of the table; the records are the real ones."""
        with self.lock:
            return dict(self._records.get(cls, {}))

    def by_uuid(self, cls: str, wanted: str) -> str:
        """The ref. Raises UUID_INVALID."""
        for ref, record in self.all(cls).items():
            if record.get("uuid") == wanted:
                return ref
        raise XapiFailure("UUID_INVALID", cls, wanted)

    def by_name(self, cls: str, label: str) -> list[str]:
        """Refs of all records of that name."""
        return [ref for ref, record in self.all(cls).items() if record.get("name_label") == label]

    def resolve(self, cls: str, ref_or_uuid: str) -> str:
        """A ref from a ref or a uuid, as the HTTP handlers take both."""
        return ref_or_uuid if self.has(cls, ref_or_uuid) else self.by_uuid(cls, ref_or_uuid)


def is_null(ref: str) -> bool:
    """Whether a ref names nothing."""
    return ref in ("", NULL)
