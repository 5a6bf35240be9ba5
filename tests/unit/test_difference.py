"""The proof by the difference to a base, on manifests and differences that are made here."""

import threading

import pytest

from disks.copying import Meter
from disks.difference import prove_difference
from disks.folder_store import FolderStore
from disks.ledger import Ledger
from disks.manifest import BLOCK, digest_of
from disks.protocols import NotOffered

CAPACITY = 3 * BLOCK + 512


def block(letter):
    return letter * BLOCK


class Difference:
    def __init__(self, *pieces, virtual_size=CAPACITY + 4096):
        self.pieces, self.virtual_size = pieces, virtual_size

    def blocks(self):
        for offset, data in self.pieces:
            yield offset, memoryview(data)

    def close(self):
        pass


@pytest.fixture
def ledger(tmp_path):
    return Ledger(FolderStore(tmp_path).disk("migration", "disk"))


@pytest.fixture
def manifests(ledger):
    """The base as it was read, and what is told of the disk now: its second block was written since."""
    manifest = ledger.manifest(CAPACITY)
    manifest.put([(0, digest_of(block(b"a"))), (1, digest_of(block(b"b"))), (3, digest_of(b"d" * 512))])
    base = ledger.base_manifest(CAPACITY, manifest)
    manifest.put([(1, digest_of(block(b"B")))])
    return base, manifest


def proven(difference, manifests):
    return prove_difference(difference, *manifests, threading.Event(), Meter())


def test_what_differs_and_is_as_it_was_sent_holds(manifests):
    assert proven(Difference((BLOCK, block(b"B"))), manifests).holds


def test_a_block_that_was_written_and_is_not_in_the_difference_was_lost(manifests):
    finding = proven(Difference(), manifests)

    assert (finding.differences, [tuple(each) for each in finding.extents]) == ([BLOCK], [(BLOCK, 2 * BLOCK)])


def test_a_block_that_differs_from_what_was_sent_is_found(manifests):
    assert proven(Difference((BLOCK, block(b"b"))), manifests).differences == [BLOCK]
    assert proven(Difference((0, block(b"x") + block(b"B"))), manifests).differences == [0]


def test_pieces_are_joined_and_a_block_that_is_there_in_part_is_no_proof(manifests):
    half = BLOCK // 2
    whole = Difference((BLOCK, block(b"B")[:half]), (BLOCK + half, block(b"B")[half:]))

    assert proven(whole, manifests).holds
    with pytest.raises(NotOffered):
        proven(Difference((BLOCK, block(b"B")[:half])), manifests)


def test_the_tail_past_the_disks_end_must_be_zeros(manifests):
    end = 3 * BLOCK
    good = Difference((BLOCK, block(b"B")), (end, b"d" * 512 + bytes(4096)))
    bad = Difference((BLOCK, block(b"B")), (end, b"d" * 512 + bytes(4095) + b"x"))

    assert proven(good, manifests).holds
    assert proven(bad, manifests).differences == [CAPACITY]


def test_a_base_manifest_tells_of_no_snapshot_while_it_is_made_anew(ledger, manifests):
    _, manifest = manifests
    ledger.proven("base-1")
    assert ledger.standing.base == "base-1"

    ledger.base_manifest(CAPACITY, manifest)

    assert ledger.standing.base == ""
    assert Ledger(ledger.shelf).standing.base == ""


def test_a_base_manifest_that_is_made_anew_forgets_what_it_told(ledger, manifests):
    _, manifest = manifests
    manifest.put([(0, bytes(32))])

    again = ledger.base_manifest(CAPACITY, manifest)

    assert list(manifest.differing(again)) == []
    assert again.digest(0) == bytes(32)
