"""A pool that serves no export: the target proven by XAPI's own checksum, beside the source read in full."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.errors import FerryError
from disks.manifest import BLOCK
from simulators.faults import FaultRule
from tests.conformance.one_migration import MIB, OneMigration, one_migration


def shut(migration: OneMigration, status: int = 404) -> None:
    """From here on nobody is served an export."""
    migration.pool.faults.add(FaultRule(method="GET /export_raw_vdi*", action="http", argument=status, count=-1))


@pytest.fixture(params=[8, 7 + 1 / 2048], ids=["as large as its VDI", "smaller than its VDI"])
def migration(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OneMigration]:
    with one_migration(tmp_path, size_mib=request.param) as migration:
        migration.guest.write(0, b"boot" * 1024)
        migration.guest.write(3 * MIB, b"data" * (MIB // 4))
        migration.guest.write(migration.guest.capacity - 512, b"end." * 128)
        yield migration


async def copied(migration: OneMigration) -> None:
    await migration.begin()
    await migration.sync()
    await migration.power_off()
    await migration.sync(final=True)


def snapshot_of(migration: OneMigration) -> str:
    snapshot = migration.target.snapshot_shell(migration.shell.vm, migration.errand)
    return snapshot.vdis[migration.shell.disks[0].vdi]


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_where_no_export_is_served_the_pools_checksum_proves_the_target(
    migration: OneMigration, status: int
) -> None:
    await copied(migration)
    shut(migration, status)
    snapshot = snapshot_of(migration)
    refused = await migration.read_back("whole", snapshot)

    both = await migration.by_checksum(snapshot)

    assert (refused.made, f"HTTP {status}" in refused.method) == (False, True)
    assert (both.sent.holds, both.source.holds) == (True, True)
    assert both.sent.method.startswith("VDI.checksum of the pre-start snapshot")
    assert both.source.method.startswith("full read by")
    assert (both.sent.bytes_read, both.source.bytes_read) == (8 * MIB, migration.guest.capacity)
    assert both.sent.root_digest == both.source.root_digest != ""
    assert not migration.pool.db.all("task")
    assert not any(vbd["currently_attached"] for vbd in migration.pool.db.all("VBD").values())


async def test_a_bit_that_flips_is_found_and_its_place_is_not(migration: OneMigration) -> None:
    await copied(migration)
    shut(migration)
    snapshot = snapshot_of(migration)
    migration.pool.flip(snapshot, 3 * MIB + 77)

    both = await migration.by_checksum(snapshot)

    assert (both.sent.holds, both.sent.differences) == (False, ())
    assert "a checksum tells no place" in both.sent.method
    assert both.source.holds


async def test_what_flips_past_the_end_of_the_disk_is_found_too(tmp_path: Path) -> None:
    with one_migration(tmp_path, size_mib=7) as migration:
        await copied(migration)
        snapshot = snapshot_of(migration)
        migration.pool.flip(snapshot, 8 * MIB - 1)

        assert not (await migration.by_checksum(snapshot)).sent.holds


async def test_a_write_that_change_tracking_left_out_is_the_sources_and_said_to_leave_the_target_untold(
    migration: OneMigration,
) -> None:
    await migration.begin()
    tracking = migration.guest.tracking
    assert tracking is not None
    tracking.left_out.append((5 * MIB, MIB))
    await migration.sync()
    migration.guest.write(5 * MIB, b"lost" * 1024)
    await migration.power_off()
    await migration.sync(final=True)
    shut(migration)

    both = await migration.by_checksum(snapshot_of(migration))

    assert (both.source.holds, both.source.differences) == (False, (5 * MIB,))
    assert (both.sent.holds, both.sent.differences) == (False, ())
    assert "cannot be told by a checksum" in both.sent.method


async def test_where_ranges_are_served_they_are_read_instead_of_a_checksum(tmp_path: Path) -> None:
    with one_migration(tmp_path, size_mib=7, purpose="nbd") as migration:
        migration.guest.write(3 * MIB, b"data" * (MIB // 4))
        await copied(migration)
        shut(migration)
        snapshot = snapshot_of(migration)

        proof = await migration.read_back("whole", snapshot)
        assert (proof.holds, proof.made, proof.bytes_read) == (True, True, 7 * MIB)
        assert "NBD with TLS" in proof.method

        for offset, found in ((3 * MIB, 3 * MIB), (8 * MIB - 1, 8 * MIB - BLOCK)):
            migration.pool.flip(snapshot, offset)
            assert (await migration.read_back("whole", snapshot)).differences == (found,)
            migration.pool.flip(snapshot, offset)


async def test_a_checksum_that_the_toolstack_lost_is_asked_for_again(tmp_path: Path) -> None:
    with one_migration(tmp_path) as migration:
        await copied(migration)
        shut(migration)
        for failure in (["INTERNAL_ERROR", "x"], ["VDI_IO_ERROR", "Device I/O errors"]):
            migration.pool.faults.add(FaultRule(method="VDI.checksum!", action="error", argument=failure))

        assert (await migration.by_checksum(snapshot_of(migration))).sent.holds

        migration.pool.faults.add(
            FaultRule(method="VDI.checksum!", action="error", argument=["INTERNAL_ERROR", "x"], count=-1)
        )
        with pytest.raises(Exception, match="failed several times"):
            await migration.by_checksum(snapshot_of(migration))


async def test_a_checksum_that_goes_on_is_found_again_and_shows_that_it_lives(tmp_path: Path) -> None:
    with one_migration(tmp_path) as migration:
        await copied(migration)
        snapshot = snapshot_of(migration)
        migration.pool.faults.add(FaultRule(method="VDI.checksum!", action="slow", argument=4 * MIB))
        first = migration.target.checksum(snapshot, migration.errand, "run")
        assert first.look() is None
        first.close()

        second = migration.target.checksum(snapshot, migration.errand, "run")
        with pytest.raises(FerryError, match="still computes") as busy:
            migration.target.finish(migration.shell.vm, migration.errand)
        assert busy.value.code == "xapi.busy"
        seen = []
        while (answer := second.look()) is None:
            seen += [each["progress"] for each in migration.pool.db.all("task").values() if each["status"] == "pending"]
            await asyncio.sleep(0.1)
        second.close()

        assert len(answer) == 32
        assert 0 < max(seen) < 1
        assert seen == sorted(seen)
        assert migration.pool.pool.stats.calls["VDI.checksum"] == 1
        assert not migration.pool.db.all("task")
        migration.target.finish(migration.shell.vm, migration.errand)


async def test_a_checksum_that_another_run_asked_for_tells_of_then_and_is_not_used(tmp_path: Path) -> None:
    with one_migration(tmp_path) as migration:
        await copied(migration)
        snapshot = snapshot_of(migration)
        before = migration.target.checksum(snapshot, migration.errand, "a `ferry verify` that was called off")
        while not any(each["status"] == "success" for each in migration.pool.db.all("task").values()):
            await asyncio.sleep(0.05)
        shut(migration)
        migration.pool.flip(snapshot, 3 * MIB + 77)

        assert not (await migration.by_checksum(snapshot)).sent.holds
        assert not migration.pool.db.all("task")
        before.close()


async def test_the_pool_answers_others_while_it_computes(tmp_path: Path) -> None:
    with one_migration(tmp_path) as migration:
        await copied(migration)
        snapshot = snapshot_of(migration)
        migration.pool.faults.add(FaultRule(method="VDI.checksum!", action="slow", argument=8 * MIB))
        pending = migration.target.checksum(snapshot, migration.errand, "run")
        began = time.monotonic()

        migration.target.facts(None)

        assert pending.look() is None
        assert time.monotonic() - began < 0.8
