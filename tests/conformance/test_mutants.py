"""Clients that do it wrong (DESIGN §5): the simulators let them fail, and our proofs say so.

Each mutant is our own client with one rule broken. It must end with unequal disks, and a proof must not hold; the
honest client, on the same road, ends with equal disks and both proofs holding.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from disks import plan, planning
from disks.extents import Extent, merged
from disks.ledger import Ledger
from disks.manifest import BLOCK
from platforms.vsphere import disk, freezing, snapshots
from tests.conformance.one_migration import MIB, OneMigration, Verdict, one_migration

GRAIN = 64 << 10
HOLDS = Verdict(equal=True, target_is_sent=True, target_is_source=True)


@pytest.fixture
def migration(tmp_path: Path) -> Iterator[OneMigration]:
    with one_migration(tmp_path) as migration:
        migration.guest.write(0, b"boot" * 1024)
        migration.guest.write(3 * MIB, b"data" * (MIB // 4))
        yield migration


async def _usual_road(migration: OneMigration, *, final: bool = True) -> Verdict:
    """Initial sync, two deltas, power-off, final delta; the guest writes, frees and writes on."""
    await migration.begin()
    await migration.sync()
    migration.guest.write(5 * MIB, b"new1" * 4096)
    await migration.sync()
    migration.guest.write(3 * MIB, bytes(MIB // 2))
    migration.guest.write(6 * MIB, b"new2" * 4096)
    await migration.sync()
    migration.guest.write(7 * MIB, b"last" * 4096)
    await migration.power_off()
    if final:
        await migration.sync(final=True)
    return await migration.verdict()


async def test_the_honest_client_ends_with_equal_disks_and_both_proofs(migration: OneMigration) -> None:
    assert await _usual_road(migration) == HOLDS


async def test_a_new_snapshot_before_the_old_one_is_removed_is_found(
    migration: OneMigration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the frozen base is the one of the snapshot before, and what it reads is stale."""
    chains = freezing._chains

    def remove_older(session: Any, vm: Any, migration: str) -> None:
        for each in snapshots._ours(vm.properties(session), migration)[:-1]:
            snapshots.remove(session, each.snapshot, vm.name)

    def ends(session: Any, vm: Any) -> dict[int, list[tuple[str, str]]]:
        return {key: [links[0], links[-1]] if len(links) > 1 else links for key, links in chains(session, vm).items()}

    monkeypatch.setattr(freezing, "thaw", lambda *_: None)
    monkeypatch.setattr(snapshots, "thaw", remove_older)  # at the end of a pass: the newest stays
    monkeypatch.setattr(freezing, "_chains", ends)
    monkeypatch.setattr(freezing, "_needs_no_snapshot", lambda *_: False)
    monkeypatch.setattr(freezing, "check_freeze", lambda *_: None)
    await migration.begin()
    await migration.sync()
    migration.guest.write(5 * MIB, b"new1" * 4096)
    await migration.sync()
    migration.guest.write(7 * MIB, b"last" * 4096)
    await migration.power_off()
    await migration.sync(final=True)
    monkeypatch.undo()

    verdict = await migration.verdict()

    assert not verdict.equal
    assert not verdict.target_is_source


def _ask_once(query: Any, change_id: str, _: int) -> list[Extent]:
    return merged([Extent(area.start, area.start + area.length) for area in query(0, change_id).changedArea or []])


@pytest.mark.parametrize("once", [False, True])
async def test_asking_once_for_changed_areas_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, once: bool
) -> None:
    """More than 2,000 extents changed; one answer holds no more."""
    if once:
        monkeypatch.setattr(disk, "changed_areas", _ask_once)
    with one_migration(tmp_path, size_mib=256) as migration:
        await migration.begin()
        await migration.sync()
        for number in range(2010):
            migration.guest.write(2 * number * GRAIN, b"x" * 512)
        await migration.power_off()
        await migration.sync(final=True)

        verdict = await migration.verdict()

    assert (verdict.equal, verdict.target_is_source) == (not once, not once)


@pytest.mark.parametrize("early", [False, True])
async def test_a_landmark_that_moves_though_the_pass_was_cut_is_found(
    migration: OneMigration, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    close = Ledger._close
    if early:
        monkeypatch.setattr(Ledger, "_close", lambda self, **_: close(self, complete=True, void=False))
    await migration.begin()
    await migration.sync()
    migration.guest.write(0, b"new1" * (6 * MIB // 4))
    migration.segment_bytes = MIB
    cut = await migration.cut_sync()
    migration.guest.write(7 * MIB, b"last" * 4096)
    await migration.power_off()
    await migration.sync(final=True)

    verdict = await migration.verdict()

    assert not cut.complete
    assert (verdict.equal, verdict.target_is_source) == (not early, not early)


async def test_leaving_out_the_final_delta_is_found(migration: OneMigration) -> None:
    verdict = await _usual_road(migration, final=False)

    assert verdict == Verdict(equal=False, target_is_sent=True, target_is_source=False)


async def test_skipping_zeros_in_a_delta_is_found(migration: OneMigration, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guest freed and zeroed stays on the target as it was: the manifest has zeros there, the target not."""

    def skipping(*given: Any, **more: Any) -> plan.Plan:
        made = plan.delta_plan(*given, **more)
        return plan.Plan(made.pass_no, "delta", made.since, made.upto, made.extents, skip_zeros=True)

    monkeypatch.setattr(planning, "delta_plan", skipping)

    verdict = await _usual_road(migration)

    assert verdict == Verdict(equal=False, target_is_sent=False, target_is_source=True)


async def test_an_extent_that_change_tracking_leaves_out_is_found(migration: OneMigration) -> None:
    await migration.begin()
    tracking = migration.guest.tracking
    assert tracking is not None
    tracking.left_out.append((7 * MIB, MIB))
    await migration.sync()
    migration.guest.write(7 * MIB, b"last" * 4096)
    await migration.power_off()
    await migration.sync(final=True)

    verdict = await migration.verdict()

    assert verdict == Verdict(equal=False, target_is_sent=True, target_is_source=False)
    assert [proof.differences for proof in migration.proofs] == [(), (7 * MIB,)], "named"


async def test_a_bit_that_flips_on_the_target_is_found(migration: OneMigration) -> None:
    await migration.begin()
    await migration.sync()
    await migration.power_off()
    await migration.sync(final=True)
    file = migration.pool.pool.vdi_file(migration.pool.db.by_uuid("VDI", migration.shell.disks[0].vdi))
    with file.open("r+b") as stored:
        stored.seek(3 * MIB + 77)
        [byte] = stored.read(1)
        stored.seek(3 * MIB + 77)
        stored.write(bytes([byte ^ 1]))

    verdict = await migration.verdict()

    assert verdict == Verdict(equal=False, target_is_sent=False, target_is_source=True)
    assert [proof.differences for proof in migration.proofs] == [(3 * MIB,), ()], "named"
    copied = await migration.sync(final=True)
    assert copied.bytes_sent == BLOCK, "what differed is sent again, and nothing else"
    assert await migration.verdict() == Verdict(equal=True, target_is_sent=True, target_is_source=True)
