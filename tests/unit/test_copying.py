"""What survives: a disk copied through kills, cuts, failures and voids is equal in the end."""

import random
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import FerryError
from disks.copying import Copying
from disks.folder_store import FolderShelf
from disks.ledger import Ledger
from disks.manifest import BLOCK
from disks.planning import next_plan
from disks.proving import prove_source, prove_target
from tests.unit.memory_disks import FrozenMemory, Killed, MemoryGuest, MemoryVdi

CAPACITY = 5 * BLOCK + 512
MIB = 1 << 20


class Disk:
    """One disk under migration: guest, VDI and a store's folder, all passes through the real code."""

    def __init__(self, folder: Path, capacity: int = CAPACITY) -> None:
        self.folder = folder
        self.guest = MemoryGuest(capacity)
        self.vdi = MemoryVdi(-(-capacity // (2 * MIB)) * 2 * MIB)
        self.pass_no = 0
        self.attempts = 0
        self.frozen: FrozenMemory | None = None
        self.cut = threading.Event()

    def freeze(self) -> FrozenMemory:
        self.pass_no += 1
        self.frozen = self.guest.freeze()
        return self.frozen

    def attempt(self, segment_bytes: int = 512 << 10) -> bool:
        """One activity attempt, as the transfer activity does it."""
        assert self.frozen is not None
        self.attempts += 1
        ledger = Ledger(FolderShelf(self.folder))
        manifest = ledger.manifest(len(self.guest.content))
        plan = ledger.standing.plan
        if plan is None or plan.pass_no != self.pass_no:
            plan = next_plan(
                ledger.standing, self.frozen, pass_no=self.pass_no, upto=self.frozen.landmark, prezeroed=True
            )
            ledger.begin_plan(plan)
        try:
            return Copying(
                self.frozen, self.vdi, ledger, manifest, f"token-{self.attempts}", "vm / disk", segment_bytes,
                self.cut, sleep=lambda seconds: None,
            ).run(plan)  # fmt: skip
        finally:
            manifest.close()

    def close(self, *, complete: bool, void: bool = False) -> None:
        Ledger(FolderShelf(self.folder)).close_pass(self.pass_no, complete=complete, void=void)

    def whole_pass(self) -> None:
        self.freeze()
        assert self.attempt()
        self.close(complete=True)

    @property
    def ledger(self) -> Ledger:
        return Ledger(FolderShelf(self.folder))

    def assert_equal(self) -> None:
        assert self.frozen is not None
        assert bytes(self.vdi.content[: len(self.frozen.content)]) == self.frozen.content
        manifest = self.ledger.manifest(len(self.frozen.content))
        from disks.copying import Meter

        assert prove_target(self.vdi, manifest, threading.Event(), Meter()).holds
        assert prove_source(self.frozen, manifest, threading.Event(), Meter()).holds
        manifest.close()


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path)
    made.guest.write(0, random.Random(1).randbytes(2 * BLOCK))
    made.guest.write(4 * BLOCK, random.Random(2).randbytes(BLOCK + 512))
    return made


def test_a_first_pass_sends_the_data_and_no_holes(disk):
    disk.whole_pass()

    disk.assert_equal()
    assert disk.vdi.received == 3 * BLOCK + 512


def test_a_delta_sends_what_changed_zeros_too(disk):
    disk.whole_pass()
    disk.guest.write(70_000, bytes(1000))
    disk.guest.write(CAPACITY - 512, b"z" * 512)
    before = disk.vdi.received

    disk.whole_pass()

    disk.assert_equal()
    assert disk.vdi.received - before == (64 << 10) + 512


def test_a_killed_worker_sends_again_no_more_than_the_open_segment(disk):
    disk.freeze()
    disk.vdi.kill_after = 600 << 10
    with pytest.raises(Killed):
        disk.attempt(segment_bytes=256 << 10)
    disk.vdi.kill_after = None

    assert disk.attempt(segment_bytes=256 << 10)

    disk.close(complete=True)
    disk.assert_equal()
    assert 0 < disk.ledger.standing.sent_again <= 256 << 10
    assert disk.vdi.received <= 3 * BLOCK + 512 + (256 << 10)


def test_a_segment_whose_task_succeeded_before_the_kill_is_not_sent_again(disk):
    disk.freeze()
    disk.vdi.kill_before_confirm = True
    with pytest.raises(Killed):
        disk.attempt()
    received = disk.vdi.received

    assert disk.attempt()

    disk.close(complete=True)
    disk.assert_equal()
    assert disk.vdi.received == 3 * BLOCK + 512
    assert received > 0
    assert disk.ledger.standing.sent_again == 0


def test_a_success_without_a_terminator_of_ours_does_not_count(disk):
    disk.freeze()
    disk.vdi.kill_after = 300 << 10
    with pytest.raises(Killed):
        disk.attempt()
    disk.vdi.kill_after = None
    for task in disk.vdi.tasks:
        disk.vdi.tasks[task] = disk.vdi.tasks[task].SUCCESS  # the false success of a cut header
    disk.vdi.open.clear()

    assert disk.attempt()

    disk.close(complete=True)
    disk.assert_equal()


def test_a_terminator_without_the_tasks_success_does_not_count(disk):
    disk.freeze()
    disk.vdi.kill_before_confirm = True
    with pytest.raises(Killed):
        disk.attempt()
    for task in disk.vdi.tasks:
        disk.vdi.tasks[task] = disk.vdi.tasks[task].FAILURE  # an fsync that failed after the worker's death
    disk.vdi.content[: 2 * BLOCK] = bytes(2 * BLOCK)

    assert disk.attempt()

    disk.close(complete=True)
    disk.assert_equal()
    assert disk.ledger.standing.sent_again > 0


def test_a_cut_ends_its_segment_and_nothing_is_sent_twice(disk):
    disk.freeze()
    disk.vdi.cut_at_write = disk.cut
    assert not disk.attempt()
    assert disk.vdi.received == disk.ledger.standing.position == 2 * BLOCK
    disk.cut.clear()

    assert disk.attempt()

    disk.close(complete=True)
    disk.assert_equal()
    assert disk.vdi.received == 3 * BLOCK + 512
    assert disk.ledger.standing.sent_again == 0


def test_a_failed_segment_is_sent_again_whole(disk):
    disk.freeze()
    disk.vdi.fail_segments = 2

    assert disk.attempt()

    disk.close(complete=True)
    disk.assert_equal()
    assert disk.ledger.standing.sent_again > 0


def test_a_cut_first_pass_owes_the_rest_and_sends_nothing_twice(disk):
    disk.freeze()
    disk.cut.set()
    assert not disk.attempt()
    disk.close(complete=False)
    disk.cut.clear()
    disk.guest.write(CAPACITY - 512, b"y" * 512)

    disk.whole_pass()

    disk.assert_equal()


def test_a_void_first_pass_is_made_again_with_its_zeros(disk):
    disk.freeze()
    assert disk.attempt()
    disk.close(complete=True, void=True)
    disk.guest.write(0, bytes(2 * BLOCK))

    disk.whole_pass()

    disk.assert_equal()


def test_distrust_of_change_tracking_leads_to_a_comparison_that_says_why(disk):
    disk.whole_pass()
    before = disk.vdi.received
    disk.guest.write(3 * BLOCK, b"unseen")
    disk.freeze().distrusted = "the uuid part of the change id differs"

    assert disk.attempt()

    assert disk.ledger.standing.plan.kind == "compare"
    assert disk.vdi.received - before == BLOCK, "what is equal is not sent"
    assert "uuid part" in disk.ledger.standing.plan.reason
    disk.close(complete=True)
    disk.assert_equal()


def test_a_comparison_that_is_cut_is_gone_on_with_by_the_next_pass(tmp_path):
    disk = Disk(tmp_path, 9 * BLOCK + 512)  # two batches
    disk.whole_pass()
    disk.guest.write(0, b"unseen")
    disk.guest.write(8 * BLOCK, b"unseen as well")
    disk.freeze().distrusted = "a reset"
    disk.vdi.kill_after = BLOCK + 1  # the second segment dies in its middle
    with pytest.raises(Killed):
        disk.attempt()
    disk.vdi.kill_after = None
    disk.close(complete=False)
    before = disk.vdi.received

    disk.whole_pass()

    disk.assert_equal()
    assert disk.ledger.standing.closed_passes == [1, 2, 3]
    assert disk.vdi.received - before < 4 * BLOCK, "compared, and not sent whole"


def test_what_may_have_been_written_is_sent_though_the_manifest_knows_it(disk):
    """A is sent; B is sent and its segment dies; the guest goes back to A: the manifest says A, the target holds B."""
    disk.whole_pass()
    was = bytes(disk.guest.content[:BLOCK])
    disk.guest.write(0, b"B" * BLOCK)
    disk.freeze().distrusted = "a reset"
    disk.vdi.kill_after = BLOCK - 1
    with pytest.raises(Killed):
        disk.attempt()
    disk.vdi.kill_after = None
    disk.close(complete=False, void=True)
    disk.guest.write(0, was)
    disk.freeze().distrusted = "a reset"

    assert disk.attempt()

    disk.close(complete=True)
    disk.assert_equal()


def test_a_lost_manifest_is_no_empty_one(disk):
    disk.whole_pass()
    (disk.folder / "manifest").unlink()
    disk.freeze()

    with pytest.raises(FerryError, match="manifest is gone"):
        disk.attempt()


def test_an_older_writer_stops_and_its_journal_lines_do_not_count(disk):
    disk.freeze()
    older = disk.ledger
    older.begin_plan(next_plan(older.standing, disk.frozen, pass_no=1, upto=disk.frozen.landmark, prezeroed=True))
    older.attempt("zombie")
    disk.ledger.attempt("newer")
    older.journal.append("done", token="zombie", segment=0, upto=10**9, sent=1, again=0)

    assert disk.ledger.standing.position == 0


def test_a_stopped_worker_that_closes_its_pass_once_more_closes_no_later_one(disk):
    disk.whole_pass()
    disk.freeze()
    zombie = disk.ledger
    zombie.begin_plan(next_plan(zombie.standing, disk.frozen, pass_no=2, upto=disk.frozen.landmark, prezeroed=True))
    disk.close(complete=False, void=True)
    disk.guest.write(3 * BLOCK, b"written after the second pass")
    disk.freeze()
    newer = disk.ledger
    newer.begin_plan(next_plan(newer.standing, disk.frozen, pass_no=3, upto=disk.frozen.landmark, prezeroed=True))

    zombie.close_pass(2, complete=True, void=False)

    assert disk.ledger.standing.plan is not None
    assert disk.ledger.standing.landmark != disk.frozen.landmark


def test_a_target_that_was_started_takes_no_delta(disk):
    disk.whole_pass()
    disk.ledger.diverge()
    disk.freeze()

    with pytest.raises(FerryError) as told:
        disk.attempt()

    assert told.value.code == "target.diverged"


def test_a_target_that_never_ran_takes_deltas_again(disk):
    disk.whole_pass()
    disk.ledger.diverge(3)
    disk.ledger.never_ran(3)
    disk.guest.write(0, b"written since")

    disk.whole_pass()

    disk.assert_equal()


def test_that_an_earlier_cutover_came_to_no_start_says_nothing_of_a_later_one(disk):
    """Of a worker that was stopped when it had looked, and wakes when the next cutover is under way."""
    disk.whole_pass()
    disk.ledger.diverge(3)
    zombie = disk.ledger
    disk.ledger.never_ran(3)
    disk.ledger.diverge(5)

    zombie.never_ran(3)

    assert disk.ledger.standing.diverged


def test_one_changed_bit_of_the_target_is_found_and_named(disk):
    from disks.copying import Meter

    disk.whole_pass()
    disk.vdi.content[4 * BLOCK + 17] ^= 1

    manifest = disk.ledger.manifest(CAPACITY)
    finding = prove_target(disk.vdi, manifest, threading.Event(), Meter())

    assert finding.differences == [4 * BLOCK]


def test_data_past_the_capacity_of_the_target_is_found(disk):
    from disks.copying import Meter

    disk.whole_pass()
    disk.vdi.content[-1] = 1

    finding = prove_target(disk.vdi, disk.ledger.manifest(CAPACITY), threading.Event(), Meter())

    assert not finding.holds


def test_a_write_that_change_tracking_left_out_is_found_by_the_proof_of_the_source(disk):
    from disks.copying import Meter

    disk.whole_pass()
    disk.guest.content[3 * BLOCK] = 7  # behind the back of change tracking
    disk.whole_pass()

    finding = prove_source(disk.frozen, disk.ledger.manifest(CAPACITY), threading.Event(), Meter())

    assert finding.differences == [3 * BLOCK]


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, CAPACITY - 1), st.integers(0, 200_000)),
        st.tuples(st.just("zero"), st.integers(0, CAPACITY - 1), st.integers(1, 400_000)),
        st.tuples(st.just("pass"), st.just(0), st.just(0)),
        st.tuples(st.just("kill"), st.integers(0, CAPACITY), st.just(0)),
        st.tuples(st.just("kill before confirm"), st.just(0), st.just(0)),
        st.tuples(st.just("fail"), st.integers(1, 3), st.just(0)),
        st.tuples(st.just("cut"), st.integers(0, CAPACITY), st.just(0)),
        st.tuples(st.just("void"), st.integers(0, CAPACITY), st.just(0)),
        st.tuples(st.just("void at its end"), st.just(0), st.just(0)),
        st.tuples(st.just("distrust"), st.just(0), st.just(0)),
        st.tuples(st.just("as before"), st.just(0), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(happenings, st.integers(0, 1 << 30))
def test_whatever_happens_the_disks_are_equal_after_the_last_pass(tmp_path_factory, story, seed):
    chance = random.Random(seed)
    disk = Disk(tmp_path_factory.mktemp("store"))
    disk.guest.write(BLOCK, chance.randbytes(BLOCK))
    first, distrusted = bytes(disk.guest.content), False
    for what, number, length in story:
        match what:
            case "write":
                disk.guest.write(number, chance.randbytes(length))
            case "zero":
                disk.guest.write(number, bytes(length))
            case "as before":
                disk.guest.write(0, first)
            case "distrust":  # of the next pass, and it may be any kind of pass
                distrusted = True
            case _:
                disk.freeze().distrusted = "on order" if distrusted else ""
                distrusted = False
                disk.vdi.kill_before_confirm = what == "kill before confirm"
                disk.vdi.kill_after = number if what in ("kill", "void", "cut") else None
                disk.vdi.fail_segments = number if what == "fail" else 0
                complete = False
                try:
                    complete = disk.attempt(256 << 10)
                except Killed:
                    disk.vdi.kill_after = None
                    disk.vdi.kill_before_confirm = False
                    if what in ("kill", "kill before confirm"):
                        complete = disk.attempt(256 << 10)
                disk.vdi.kill_after = None
                disk.vdi.kill_before_confirm = False
                disk.close(complete=complete, void=what.startswith("void"))

    disk.whole_pass()

    disk.assert_equal()
