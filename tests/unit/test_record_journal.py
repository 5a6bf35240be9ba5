"""The record in the store: what is read is the chain to its head, whatever else lies there."""

import pytest

from contracts.errors import FerryError
from contracts.record import RecordState, appended, following
from disks.folder_store import FolderStore
from disks.record_journal import append_entries, read_entries


def grown(state, *words):
    for word in words:
        state = appended(state, following(state, "message", "2026-11-25T02:00:00+00:00", {"message": word}))
    return state


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def test_batches_come_back_in_order_though_a_worker_wrote_one_twice_and_another_tore_a_line(store):
    state = grown(RecordState(), *"abcdef")
    append_entries(store, "m1", state.pending[:2])
    append_entries(store, "m1", state.pending[1:4])
    append_entries(store, "m1", state.pending[:2])
    with (store.folder / "migrations/m1/record/journal.jsonl").open("ab") as out:
        out.write(b'[{"seq":4,"at"')
    append_entries(store, "m1", state.pending[4:])

    assert tuple(read_entries(store, "m1", state.head)) == state.pending
    assert store.disk("m1", "record").journal().count(b"\n") == 4


def test_what_no_chain_leads_to_is_passed_over(store):
    """A Temporal that was set back to a backup lets a migration go on otherwise than it went before."""
    common = grown(RecordState(), *"ab")
    before, now = grown(common, "lost"), grown(common, "c", "d")
    append_entries(store, "m1", before.pending)
    append_entries(store, "m1", now.pending[2:])

    assert tuple(read_entries(store, "m1", now.head)) == now.pending


@pytest.mark.parametrize("deed", ["edited", "removed"])
def test_an_entry_that_was_changed_in_the_store_is_told(store, deed):
    state = grown(RecordState(), "approve", "pause", "resume")
    for each in state.pending:
        append_entries(store, "m1", [each])
    file = store.folder / "migrations/m1/record/journal.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[1:2] = [lines[1].replace(b"pause", b"approve")] if deed == "edited" else []
    file.write_bytes(b"".join(lines))

    with pytest.raises(FerryError, match=r"record\.broken: entry 1"):
        read_entries(store, "m1", state.head)
