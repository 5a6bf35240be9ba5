"""The store: one identity, whole files, and journals that a crash may tear."""

import contextlib
import resource

import pytest

from contracts.errors import FerryError
from disks.folder_store import FolderShelf, FolderStore
from disks.journal import Journal
from disks.manifest import BLOCK, Manifest, digest_of
from disks.store import check_identity


def test_a_worker_with_another_store_is_refused(tmp_path):
    first, other = FolderStore(tmp_path / "one"), FolderStore(tmp_path / "two")

    check_identity(first, FolderStore(tmp_path / "one").id)
    with pytest.raises(FerryError) as told:
        check_identity(other, first.id)

    assert told.value.code == "store.mismatch"
    assert told.value.remedy == "retry"


def test_a_line_that_a_crash_tore_is_left_out_and_the_next_one_counts(tmp_path):
    journal = Journal(FolderShelf(tmp_path))
    journal.append("attempt", token="a")
    with (tmp_path / "journal.jsonl").open("ab") as out:
        out.write(b'{"event":"done","upto":12')

    journal.append("attempt", token="b")

    assert [line["token"] for line in journal.lines()] == ["a", "b"]


def test_a_journal_that_is_damaged_is_told_and_not_guessed_at(tmp_path):
    journal = Journal(FolderShelf(tmp_path))
    (tmp_path / "journal.jsonl").write_bytes(b"garbage\n")

    with pytest.raises(FerryError) as told:
        journal.lines()

    assert told.value.code == "store.damaged"


def test_a_manifest_keeps_digests_and_its_root_changes_with_any_block(tmp_path):
    manifest = Manifest(FolderShelf(tmp_path), 3 * BLOCK + 512)
    empty = manifest.root()

    manifest.put([(3, digest_of(b"x" * 512))])

    assert list(manifest.not_zero()) == [3]
    assert manifest.root() != empty
    assert manifest.digest(0) == bytes(32)
    manifest.close()


def test_a_manifest_of_another_capacity_is_not_used(tmp_path):
    Manifest(FolderShelf(tmp_path), BLOCK).close()

    with pytest.raises(FerryError) as told:
        Manifest(FolderShelf(tmp_path), 2 * BLOCK)

    assert told.value.code == "store.damaged"


@pytest.mark.parametrize("content", ["", '{"x"', "[]", "{}", "\x00"])
def test_a_store_that_does_not_tell_its_id_is_damaged_and_not_taken_for_a_new_one(tmp_path, content):
    FolderStore(tmp_path)
    (tmp_path / "store.json").write_text(content)

    with pytest.raises(FerryError, match="does not tell the store's id") as told:
        FolderStore(tmp_path)

    assert told.value.code == "store.damaged"


@contextlib.contextmanager
def files_end_at(size):
    """As on a disk that is almost full: of a write that goes further a part is taken, the next is refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_found_room_for_a_part_only_is_told_and_does_not_count(tmp_path):
    journal = Journal(FolderShelf(tmp_path))
    journal.append("attempt", token="a")
    length = (tmp_path / "journal.jsonl").stat().st_size

    with files_end_at(length + 10), pytest.raises(FerryError) as told:
        journal.append("attempt", token="b")
    journal.append("attempt", token="c")

    assert told.value.code == "store.unwritable"
    assert [line["token"] for line in Journal(FolderShelf(tmp_path)).lines()] == ["a", "c"]


def test_digests_that_found_room_for_a_part_only_are_told(tmp_path):
    manifest = Manifest(FolderShelf(tmp_path), 4 * BLOCK)
    file = tmp_path / "manifest"

    with files_end_at(file.stat().st_size - 8), pytest.raises(FerryError) as told:
        manifest.put([(3, digest_of(b"x"))])
    manifest.close()

    assert told.value.code == "store.unwritable"
