"""The breaks: what somebody might write in good faith, and what must not pass."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Break:
    """One rule broken in one place.

    Attributes:
        before: text that is in the file exactly once.
        tests: of those that docs/safety.md names for the rule, which must fail.
    """

    rule: int
    what: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


BREAKS = (
    Break(
        1, "what a cut pass did not send is forgotten", "disks/ledger.py",
        "now.owed = subtracted(rest, now.unsure)", "now.owed = []",
        ("test_a_cancelled_pass_is_owed_and_paid",),
    ),
    Break(
        2, "a terminator is believed without the task's success", "disks/copying.py",
        "unsettled.upto is not None and self.target.outcome(unsettled.task) is TaskOutcome.SUCCESS",
        "unsettled.upto is not None",
        ("test_a_terminator_without_the_tasks_success_does_not_count",),
    ),
    Break(
        2, "a success is believed without a terminator of ours", "disks/ledger.py",
        'now.open_segment = OpenSegment(record["segment"], record["task"], record["position"])',
        'now.open_segment = OpenSegment(record["segment"], record["task"], record["position"], now.plan.bytes)',
        ("test_a_success_without_a_terminator_of_ours_does_not_count",),
    ),
    Break(
        3, "a new attempt begins the pass again", "disks/ledger.py",
        'now.token = record["token"]', 'now.token, now.position = record["token"], 0',
        ("test_a_killed_worker_sends_again_no_more_than_the_open_segment",),
    ),
    Break(
        4, "a cut throws the open segment away", "disks/copying.py",
        "                writer.terminate()\n",
        '                if self.cut.is_set():\n'
        '                    raise FerryError("xapi.segment_failed", "cut")\n'
        "                writer.terminate()\n",
        ("test_a_cut_ends_its_segment_and_nothing_is_sent_twice",),
    ),
    Break(
        5, "zeros are skipped where data was written before", "disks/plan.py",
        'skip_zeros=False, reason="an earlier pass was void"', 'skip_zeros=True, reason="an earlier pass was void"',
        ("test_a_void_first_pass_is_made_again_with_its_zeros",),
    ),
    Break(
        6, "any store will do", "disks/store.py",
        "if expected != store.id:", "if not expected:",
        ("test_a_worker_with_another_store_is_refused",),
    ),
    Break(
        7, "only what changed of a block is read and digested", "disks/batches.py",
        "        first = piece.start - piece.start % block\n        last = first + block\n",
        "        first = piece.start\n        last = piece.end\n",
        ("test_a_delta_sends_what_changed_zeros_too",),
    ),
    Break(
        8, "our last snapshot stays while a new one is taken", "platforms/vsphere/freezing.py",
        "        thaw(session, vm, errand.migration)  # older", "        # older",
        ("test_a_freeze_removes_an_older_snapshot_of_ours_before_it_makes_its_own",),
    ),
    Break(
        8, "a worker that wakes late freezes what is no longer ours", "platforms/vsphere/freezing.py",
        "            _still_ours(session, vm, errand)\n", "",
        ("test_a_machine_that_is_no_longer_ours_is_not_frozen",),
    ),
    Break(
        9, "a pass counts although its snapshot went", "platforms/vsphere/freezing.py",
        "    properties = vm.properties(session)\n    if freeze.final:\n",
        "    if not freeze.final:\n        return\n    properties = vm.properties(session)\n    if freeze.final:\n",
        ("test_a_pass_that_is_robbed_of_its_snapshot_is_void",),
    ),
    Break(
        9, "nobody looks whether a cold source ran in between", "platforms/vsphere/freezing.py",
        "if disk.content_id and", "if False and",
        ("test_a_machine_that_ran_while_it_was_copied_makes_the_pass_void_though_it_is_off_again",),
    ),
    Break(
        10, "a snapshot may grow old", "activities/watching.py",
        "    if age > MOST_AGE:\n", "    if False:\n",
        ("test_a_snapshot_must_go_before_it_fills_its_datastore",),
    ),
    Break(
        11, "an answer for another range is believed", "platforms/vsphere/changes.py",
        "if begin != start or length <= 0:", "if length <= 0:",
        ("test_answers_that_talk_nonsense_are_not_believed",),
    ),
    Break(
        11, "tracking that was reset is believed", "platforms/vsphere/landmark.py",
        "    if before != after:\n", "    if False:\n",
        ("test_a_disk_that_is_not_what_it_was_is_not_believed",),
    ),
    Break(
        12, "the mark of another is written over", "platforms/vsphere/marks.py",
        "    if owner is not None and owner.migration != mark.migration:\n", "    if False:\n",
        ("test_an_owner_is_marked_once_and_another_is_told_who_it_is",),
    ),
    Break(
        12, "of two that come at once both fill a shell", "platforms/xapi/shell.py",
        "    _not_anothers(api, order)  # of two that came at once one is refused, or both\n", "",
        ("test_two_that_come_at_once_do_not_both_go_on",),
    ),
    Break(
        13, "an older writer's journal lines count", "disks/ledger.py",
        'case "done" if record["token"] == now.token:', 'case "done":',
        ("test_an_older_writer_stops_and_its_journal_lines_do_not_count",),
    ),
    Break(
        13, "a writer does not look whether it was replaced", "platforms/xapi/vdi.py",
        "if found != token:", "if False:",
        ("test_a_writer_whose_token_was_taken_stops_before_its_next_segment",),
    ),
    Break(
        14, "a step of an older epoch is carried out on the source", "platforms/vsphere/marks.py",
        " or owner.epoch > mark.epoch:", ":",
        ("test_a_step_that_a_rollback_overtook_is_not_carried_out",),
    ),
    Break(
        14, "a step of an older epoch is carried out on the target", "platforms/xapi/marks.py",
        "if epoch is None or epoch > mark.epoch:", "if epoch is None:",
        ("test_a_step_of_an_older_epoch_starts_nothing",),
    ),
    Break(
        15, "a writer does not wait for a reader", "platforms/xapi/vdi.py",
        "if self._is_free(vdi, patience):", "if self._is_free(vdi, 0):",
        ("test_a_writer_waits_until_a_read_back_has_ended",),
    ),
    Break(
        16, "the target is not marked as diverged before it starts", "workflows/cutting_over.py",
        'await story.hear(order("diverge_target", ref, _STORED, summary="target parts from the source here"))',
        "pass",
        ("test_a_migration_goes_from_preflight_to_proof_in_the_order_of_the_rules",),
    ),
    Break(
        17, "a rollback brings the source back beside a running target", "workflows/going_back.py",
        'for name in ("block_target", "raise_target_epoch", "stop_target"):',
        'for name in ("block_target", "raise_target_epoch"):',
        ("test_a_rollback_after_the_start_stops_the_target_before_the_source_comes_back",),
    ),
    Break(
        17, "a cutover goes on though its window has closed", "workflows/deadlines.py",
        "        self._story.called_back = self._story.called_back or back\n", "        assert back\n",
        ("test_a_window_that_closes_in_the_final_pass_brings_the_source_back_and_the_next_one_is_taken",),
    ),
    Break(
        18, "deltas go on to a target that has run", "disks/planning.py",
        "if standing.diverged:", "if False:",
        ("test_a_target_that_was_started_takes_no_delta",),
    ),
    Break(
        19, "the proof of the target believes our own records", "disks/proving.py",
        "        if digest_of(data) != manifest.digest(number):\n", "        if not len(data):\n",
        ("test_one_changed_bit_of_the_target_is_found_and_named",),
    ),
    Break(
        19, "what is not in the difference to the base is taken for proven", "disks/difference.py",
        "        if not seen[number]:\n", "        if False:\n",
        ("test_a_write_that_is_lost_on_the_way_is_found_and_mended",),
    ),
    Break(
        19, "a checksum is taken for right because the source is as it was sent", "disks/checksumming.py",
        "    if source == target:  #", "    if source == target or read.holds:  #",
        ("test_a_bit_that_flips_is_found_and_its_place_is_not",),
    ),
    Break(
        19, "the proof of the source believes change tracking", "disks/proving.py",
        "                if digest != manifest.digest(number):\n",
        "                if not digest:\n",
        ("test_a_write_that_change_tracking_left_out_is_found_by_the_proof_of_the_source",),
    ),
    Break(
        20, "a new run forgets the way back", "workflows/story.py",
        '"passes_this_run": 0, ', '"passes_this_run": 0, "undo": (), ',
        ("test_a_new_run_carries_everything_on",),
    ),
    Break(
        21, "what a human can mend before the first pass ends the migration", "workflows/story.py",
        "                if not failure.asks:\n                    raise\n                await self.park(failure)\n",
        "                raise\n",
        ("test_what_a_human_must_mend_is_waited_for_and_then_tried_again",),
    ),
    Break(
        21, "what a human can mend in a pass ends the migration", "workflows/syncing.py",
        "                if not failure.asks:\n                    raise\n                await story.park(failure)\n"
        "                continue\n",
        "                raise\n",
        ("test_what_a_human_must_mend_is_waited_for_and_then_tried_again",),
    ),
    Break(
        21, "a refused password is tried again", "platforms/vsphere/session.py",
        "if self._refused is not None and self._refused[1] == password:", "if False:",
        ("test_a_wrong_password_is_tried_once_and_not_ten_times",),
    ),
    Break(
        22, "copied data goes with the shell", "platforms/xapi/shell.py",
        'if WRITTEN_KEY in vdi_record["other_config"]:', "if False:",
        ("test_a_vdi_that_holds_data_is_kept_and_named",),
    ),
)  # fmt: skip


def named_tests() -> dict[int, set[str]]:
    """Rule to the tests that docs/safety.md names for it; a rule that waits for a later issue has none."""
    rows = re.findall(r"^\| (\d+) \|(.*)$", (ROOT / "docs" / "safety.md").read_text(), re.MULTILINE)
    return {int(rule): set(re.findall(r"`(test_\w+)`", row)) for rule, row in rows}


def where(test: str) -> str:
    """``tests/unit/test_store.py::test_…``, as pytest wants it."""
    [file] = [file for file in (ROOT / "tests").rglob("test_*.py") if re.search(rf"def {test}\(", file.read_text())]
    return f"{file.relative_to(ROOT)}::{test}"
