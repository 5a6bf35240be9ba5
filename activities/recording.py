"""The record of a migration, into the store and out of it."""

from temporalio import activity

from activities.running import in_thread
from activities.systems import Systems
from contracts.record import AppendRecord, Entry, ReadRecord, RecordPage, canonical
from disks.record_journal import append_entries, read_entries
from disks.store import check_identity

PAGE = 1 << 20
"""Bytes of entries in one answer: Temporal takes two."""


class RecordingActivities:
    """Both look at the store alone, and at no platform."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def append_record(self, said: AppendRecord) -> None:
        """Make entries durable."""
        await in_thread(lambda: self._append(said), pool=self._systems.pool)

    @activity.defn
    async def read_record(self, said: ReadRecord) -> RecordPage:
        """As many entries as fit into an answer."""
        return await in_thread(lambda: self._read(said), pool=self._systems.pool)

    def _append(self, said: AppendRecord) -> None:
        store = self._systems.store
        if said.store_id:
            check_identity(store, said.store_id)
        append_entries(store, said.migration, said.entries)

    def _read(self, said: ReadRecord) -> RecordPage:
        store = self._systems.store
        if said.store_id:
            check_identity(store, said.store_id)
        chain = read_entries(store, said.migration, said.head)
        page: list[Entry] = []
        room = PAGE
        for entry in chain[said.after :]:
            room -= len(canonical(entry.model_dump()))
            if room < 0 and page:
                break
            page.append(entry)
        return RecordPage(entries=tuple(page), total=len(chain))
