"""What a pass leaves undone is owed, and paid by the next (SAFETY 1): real activities, clients and simulators."""

import asyncio
import random
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from contracts.steps import CopyReport, Freeze
from tests.conformance.one_migration import MIB, OneMigration, one_migration


async def _begun(migration: OneMigration) -> None:
    """Data all over the disk, segments of 1 MiB, so that half-way is a place."""
    chance = random.Random(9)
    for at in range(0, 8 * MIB, 2 * MIB):
        migration.guest.write(at, chance.randbytes(MIB + 4096))
    migration.segment_bytes = MIB
    await migration.begin()


async def _ends_equal(migration: OneMigration) -> None:
    await migration.power_off()
    await migration.sync(final=True)
    verdict = await migration.verdict()
    assert (verdict.equal, verdict.target_is_sent, verdict.target_is_source) == (True, True, True)


async def test_a_cancelled_pass_is_owed_and_paid(tmp_path: Path) -> None:
    with one_migration(tmp_path) as migration:
        await _begun(migration)
        first = await migration.cut_sync()
        migration.guest.write(5 * MIB, bytes(MIB))  # zeros where data was, in what is owed and in what is not
        migration.guest.write(0, bytes(4096))

        second = await migration.sync()

        assert (first.complete, second.complete) == (False, True)
        assert 0 < first.bytes_sent < first.bytes_planned
        await _ends_equal(migration)


async def test_a_delta_that_is_cut_half_way_is_owed_beside_what_changes_later(tmp_path: Path) -> None:
    with one_migration(tmp_path) as migration:
        await _begun(migration)
        await migration.sync()
        for at in range(0, 8 * MIB, MIB):
            migration.guest.write(at, random.Random(at).randbytes(512 << 10))
        cut = await migration.cut_sync()
        migration.guest.write(7 * MIB, b"after the cut".ljust(512))
        after = await migration.sync()

        assert not cut.complete
        assert after.bytes_planned >= cut.bytes_planned - cut.bytes_sent > 0
        await _ends_equal(migration)


@pytest.mark.parametrize("first", [True, False], ids=["the first pass", "a delta"])
async def test_a_pass_robbed_of_its_snapshot_half_way_does_not_count(tmp_path: Path, first: bool) -> None:
    with one_migration(tmp_path) as migration:
        await _begun(migration)
        if not first:
            await migration.sync()
            for at in range(0, 8 * MIB, MIB):
                migration.guest.write(at, random.Random(at).randbytes(512 << 10))
        freeze = await migration.freeze()
        report = await _robbed_half_way(migration, freeze)
        await migration.seal(freeze, complete=report is not None and report.complete)
        migration.guest.write(3 * MIB, b"written after the robbery".ljust(512))

        again = await migration.sync()

        assert again.complete
        await _ends_equal(migration)


async def _robbed_half_way(migration: OneMigration, freeze: Freeze) -> CopyReport | None:
    """Somebody consolidates the VM in mid-copy; the guest writes on into what is being read."""
    machine = migration.vcenter.world.vm("web01")
    copying, _ = await migration.copy_of_one_segment(freeze)
    await asyncio.to_thread(machine.drop_snapshot, machine.all_snapshots()[0])
    for at in range(0, 8 * MIB, MIB):
        migration.guest.write(at + 512, b"into what is being read".ljust(512))
    try:
        return await copying
    except ApplicationError:  # the reads fail, once nothing is frozen any more
        return None
