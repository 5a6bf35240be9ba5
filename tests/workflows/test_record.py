"""The record of a migration: all that was decided and done is in it, and it survives what a migration survives."""

import io

import pytest

from contracts.names import RECORD, Phase
from contracts.record import GENESIS, RecordEnd, digest_of, report_digest
from contracts.record_file import check, written
from tests.workflows.one_workflow import CUTOVER, LEAVE, PASS, PREPARE, START


def chain(steps):
    """What the store was given, as one who reads it back sees it: by digests."""
    found = {each.digest: each for each in steps.recorded}
    assert all(digest_of(each) == digest for digest, each in found.items())
    entries = sorted(found.values(), key=lambda each: each.seq)
    assert [each.seq for each in entries] == list(range(len(entries)))
    assert [each.prev for each in entries] == [GENESIS, *(each.digest for each in entries[:-1])]
    return entries


def of(entries, kind):
    return [each.said for each in entries if each.kind == kind]


async def test_every_decision_command_and_byte_is_on_record(migration):
    await migration.start(delta_interval="1h")
    status = await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.update("pause", {"who": "eve", "note": "backup window"})
    await migration.update("resume", {"who": "eve"})
    await migration.update("set_limits", {"who": "bob", "bandwidth": "50M"})
    await migration.approve()
    report = await migration.report()

    entries = chain(migration.steps)
    assert [said["step"] for said in of(entries, "step")] == [
        *PREPARE, *(PASS * (report.passes - 1)), *CUTOVER, *START, "prove_source", *LEAVE
    ]  # fmt: skip
    outcomes = {said["of"]: said for said in of(entries, "outcome")}
    assert all(outcomes[each.seq]["code"] == "done" for each in entries if each.kind == "step")
    said = [(each["message"], each.get("who"), each.get("note")) for each in of(entries, "message")]
    assert said == [
        ("pause", "eve", "backup window"), ("resume", "eve", ""), ("set_limits", "bob", None), ("approve", "ann", "")
    ]  # fmt: skip
    [decision] = of(entries, "decision")
    assert decision["approval_ticket"] == status.approval_ticket
    assert tuple(decision["facts"]) == status.approval_facts
    assert sum(each["bytes_sent"] for each in of(entries, "pass")) == report.bytes_sent
    copies = [each["answer"] for each in of(entries, "outcome") if each["step"] == "copy_disk"]
    assert sum(each["bytes_sent"] for each in copies) == report.bytes_sent
    assert [each["phase"] for each in of(entries, "phase")][-3:] == ["cutover", "start", "done"]
    proofs = [each["answer"]["holds"] for each in of(entries, "outcome") if each["step"].startswith("prove_")]
    assert proofs == [True, True]

    [ended] = of(entries, "ended")
    plain = report.model_dump(mode="json", exclude_defaults=True)
    assert (report.record_head, report.record_entries) == (entries[-1].digest, len(entries))
    assert ended["report_sha256"] == report_digest(plain)
    assert ended["bytes_sent"] == report.bytes_sent
    found = check(io.BytesIO(b"".join(written(entries, plain))))
    assert (found.outcome, found.bytes_sent, found.decisions) == ("done", report.bytes_sent, 1)


async def test_what_failed_is_on_record_with_its_code_and_so_is_who_said_retry(migration):
    migration.steps.fail("make_shell", "xapi.sr_full", "the SR is full")
    await migration.start()
    await migration.until(lambda status: status.needs_human == "xapi.sr_full")
    await migration.update("retry", {"who": "ann", "note": "made room"})
    await migration.until_phase(Phase.AWAITING_APPROVAL)
    await migration.handle.cancel()
    with pytest.raises(Exception, match="Workflow execution"):
        await migration.report()

    entries = chain(migration.steps)
    [failed] = [each for each in of(entries, "outcome") if each["code"] == "xapi.sr_full"]
    assert (failed["step"], failed["message"]) == ("make_shell", "the SR is full")
    assert of(entries, "parked") == [{"code": "xapi.sr_full", "message": "the SR is full"}]
    assert [(each["message"], each.get("note")) for each in of(entries, "message")] == [
        ("retry", "made room"), ("cancel", None)
    ]  # fmt: skip
    assert of(entries, "ended")[0]["outcome"] == "cancelled"
    assert [each["step"] for each in of(entries, "step")][-2:] == ["remove_shell", "release_source"]


async def test_one_that_fails_at_once_has_its_record_in_the_store_too(migration):
    migration.steps.fail("preflight", "vm.unknown", "no such VM")
    await migration.start()
    with pytest.raises(Exception, match="Workflow execution"):
        await migration.report()

    assert of(chain(migration.steps), "ended")[0]["error"] == "vm.unknown"


async def test_it_goes_on_over_new_runs(migration):
    await migration.start(delta_interval="0.01s", max_passes=3)
    await migration.until(lambda status: status.runs >= 2, 90)
    await migration.approve()
    report = await migration.report()

    entries = chain(migration.steps)
    assert len(of(entries, "begun")) == 1
    assert len(of(entries, "pass")) == report.passes > 50
    assert sum(each["bytes_sent"] for each in of(entries, "pass")) == report.bytes_sent
    assert entries[-1].digest == report.record_head


async def test_while_it_runs_the_end_of_the_record_is_told_by_the_workflow(migration):
    await migration.start(delta_interval="1h")
    await migration.until_phase(Phase.AWAITING_APPROVAL)

    end = await migration.handle.query(RECORD, result_type=RecordEnd)

    pending = {each.digest for each in end.pending}
    entries = chain(migration.steps)
    entries += [each for each in end.pending if each.digest not in {known.digest for known in entries}]
    assert (end.count, end.head) == (len(entries), entries[-1].digest)
    assert end.migration == of(entries, "begun")[0]["migration"]
    assert len(pending) < 40
    assert check(io.BytesIO(b"".join(written(entries, None)))).outcome == ""


async def test_a_store_that_cannot_be_written_holds_nothing_up_but_the_end(migration):
    migration.steps.fail("append_record", "store.unwritable", "no space left", times=1000)
    await migration.start(approval="auto")
    status = await migration.until(lambda status: status.needs_human == "store.unwritable")
    assert status.phase is Phase.DONE
    assert migration.steps.said[-len(LEAVE) :] == LEAVE
    migration.steps.failures.clear()
    await migration.update("retry", {"who": "ann"})
    report = await migration.report()

    assert chain(migration.steps)[-1].digest == report.record_head
