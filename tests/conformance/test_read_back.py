"""The target read back while the source runs, and in the downtime only what was written since, by XAPI's NBD server."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.errors import FerryError
from disks.manifest import BLOCK
from platforms.xapi.marks import TASK_VDI, TASK_WRITER
from platforms.xapi.tasks import make_task
from tests.conformance.one_migration import MIB, OneMigration, one_migration


@pytest.fixture
def migration(tmp_path: Path) -> Iterator[OneMigration]:
    with one_migration(tmp_path, purpose="nbd") as migration:
        migration.guest.write(0, b"boot" * 1024)
        migration.guest.write(3 * MIB, b"data" * (MIB // 4))
        yield migration


async def _powered_off_and_copied(migration: OneMigration) -> str:
    await migration.power_off()
    await migration.sync(final=True)
    return _snapshot(migration)


def _snapshot(migration: OneMigration) -> str:
    snapshot = migration.target.snapshot_shell(migration.shell.vm, migration.errand)
    return snapshot.vdis[migration.shell.disks[0].vdi]


async def test_in_the_downtime_no_more_is_read_than_what_was_written_since(migration: OneMigration) -> None:
    await migration.begin()
    await migration.sync()
    between = await migration.read_back("between")
    assert (between.holds, between.made) == (True, True)
    migration.guest.write(5 * MIB, b"new1" * 4096)
    await migration.sync()
    migration.guest.write(7 * MIB, b"last" * 4096)
    snapshot = await _powered_off_and_copied(migration)

    since = await migration.read_back("since", snapshot)

    assert (since.holds, since.made, since.bytes_read) == (True, True, 2 * BLOCK)
    assert migration.pool.stats.bytes_read_by_nbd == 2 * BLOCK
    assert "NBD with TLS" in since.method
    deadline = time.monotonic() + 5  # the server hears of the hang-up a moment later
    while any(vbd["mode"] == "RO" and vbd["currently_attached"] for vbd in migration.pool.db.all("VBD").values()):
        assert time.monotonic() < deadline, "dom0 does not let go"
        time.sleep(0.05)


async def test_a_bit_that_flips_in_what_was_written_since_is_found_and_mended(migration: OneMigration) -> None:
    await migration.begin()
    await migration.sync()
    await migration.read_back("between")
    migration.guest.write(7 * MIB, b"last" * 4096)
    await migration.power_off()
    await migration.sync(final=True)
    migration.flip(7 * MIB + 5)
    snapshot = _snapshot(migration)

    assert (await migration.read_back("since", snapshot)).differences == (7 * MIB,)

    snapshot = await _powered_off_and_copied(migration)
    assert (await migration.read_back("since", snapshot)).holds
    assert (await migration.verdict()).equal


async def test_what_flips_before_the_reading_between_passes_is_mended_by_the_next(migration: OneMigration) -> None:
    await migration.begin()
    await migration.sync()
    migration.flip(3 * MIB + 77)

    assert (await migration.read_back("between")).differences == (3 * MIB,)

    copied = await migration.sync()
    assert copied.bytes_sent == BLOCK
    assert (await migration.read_back("between")).holds


async def test_nobody_is_read_in_the_clear_and_nobody_who_is_not_trusted(
    migration: OneMigration, tmp_path: Path
) -> None:
    await migration.begin()
    await migration.sync()
    [network] = migration.pool.db.all("network").values()
    network["purpose"] = ["insecure_nbd"]
    assert not (await migration.read_back("between")).made

    network["purpose"] = ["nbd"]
    for host, (port, _, name) in migration.pool.pool.nbd_doors.items():
        stranger = (tmp_path / "vc" / "ca.pem").read_text()
        migration.pool.pool.nbd_doors[host] = (port, stranger, name)
    with pytest.raises(FerryError, match=r"certificate|CERTIFICATE") as refused:
        migration.target.open_ranges(migration.shell.disks[0].vdi, migration.errand)
    assert refused.value.code == "xapi.read_back_failed"
    assert "OpaqueRef" not in refused.value.message, "the export's name has the session in it"


async def test_a_pool_without_such_a_network_says_so(tmp_path: Path) -> None:
    with one_migration(tmp_path) as migration:
        migration.guest.write(0, b"boot" * 1024)
        await migration.begin()
        await migration.sync()
        assert not (await migration.read_back("between")).made
        snapshot = await _powered_off_and_copied(migration)
        assert not (await migration.read_back("since", snapshot)).made
        assert (await migration.read_back("whole", snapshot)).holds


async def test_what_a_reader_that_died_has_left_goes_with_the_next_and_a_writers_stays(migration: OneMigration) -> None:
    await migration.begin()
    await migration.sync()
    snapshot, api = await _powered_off_and_copied(migration), migration.target._api
    for marks in ({TASK_VDI: snapshot}, {TASK_VDI: snapshot, TASK_WRITER: "run/activity/1"}):
        task = make_task(api, "an attempt that died", "vhd", migration.errand, marks)
        api.call("task.set_status", task.ref, "failure")

    assert (await migration.read_back("whole", snapshot)).holds

    assert [each["other_config"].get(TASK_WRITER) for each in migration.pool.db.all("task").values()] == [
        "run/activity/1"
    ]
