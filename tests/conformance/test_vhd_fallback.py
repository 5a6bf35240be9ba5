"""Hosts that refuse chunked raw: the same migration by VHD streams, warm, zeros too."""

from pathlib import Path

from disks.ledger import Ledger
from platforms.xapi.vhd_segment import MOST_GATHERED
from simulators.faults import FaultRule
from tests.conformance.one_migration import MIB, Verdict, one_migration

HOLDS = Verdict(equal=True, target_is_sent=True, target_is_source=True)


async def test_a_migration_goes_warm_by_vhd_streams(tmp_path: Path) -> None:
    with one_migration(tmp_path, size_mib=80.0 + 1 / 2048, takes_chunked=False) as migration:
        migration.guest.write(0, b"boot" * 1024)
        migration.guest.write(3 * MIB, b"data" * (MIB // 4) * 40)
        migration.guest.write(migration.guest.capacity - 512, b"last" * 128)
        await migration.begin()
        first = await migration.sync()
        assert first.bytes_sent >= 40 * MIB
        migration.guest.write(3 * MIB, bytes(MIB // 2))  # zeros over data
        migration.guest.write(61 * MIB + 512, b"new2" * 4096)
        second = await migration.sync()
        assert second.kind == "delta"
        assert second.bytes_sent < 2 * MIB
        migration.guest.write(7 * MIB, b"last" * 4096)
        await migration.power_off()
        await migration.sync(final=True)

        assert await migration.verdict() == HOLDS
        puts = migration.pool.stats.puts
        assert puts >= 2 + 40 * MIB // MOST_GATHERED, "no segment is larger than what is gathered in memory"


async def test_a_cut_and_a_failed_stream_cost_a_segment_and_no_more(tmp_path: Path) -> None:
    with one_migration(tmp_path, size_mib=80, takes_chunked=False) as migration:
        migration.guest.write(0, b"data" * (MIB // 4) * 80)
        await migration.begin()
        migration.pool.faults.add(FaultRule(method="PUT /import_raw_vdi", action="drop", argument=5 * MIB))
        copied = await migration.sync()
        assert copied.bytes_sent == 80 * MIB
        assert copied.bytes_sent_again <= MOST_GATHERED
        folder = migration.systems.store.disk(migration.errand.migration, migration.shell.disks[0].disk_id)
        assert Ledger(folder).standing.complete
        await migration.power_off()
        await migration.sync(final=True)
        assert await migration.verdict() == HOLDS
