"""Disks of unusual sizes: larger than VHD can hold, on an SR of raw volumes, in 600 pieces."""

import random
from pathlib import Path
from typing import Any

import pytest

from checks import Seen, run_checks
from contracts.errors import FerryError
from tests.conformance.comparing import differing
from tests.conformance.one_migration import MIB, OneMigration, Verdict, one_migration

TIB = 1 << 40
HOLDS = Verdict(equal=True, target_is_sent=True, target_is_source=True)


def stored(migration: OneMigration, offset: int, length: int) -> bytes:
    pool = migration.pool.pool
    with pool.vdi_file(migration.pool.db.by_uuid("VDI", migration.shell.disks[0].vdi)).open("rb") as file:
        file.seek(offset)
        return file.read(length)


async def test_three_sparse_tebibytes_go_where_qcow2_can_hold_them(tmp_path: Path) -> None:
    sr = {"name": "big", "type": "nfs", "qcow2": True}
    with one_migration(tmp_path, size_mib=3 * TIB / MIB, sr=sr) as migration:
        places = {0: b"boot", TIB + 512: b"midd", 2 * TIB + 7 * MIB: b"more", 3 * TIB - 4096: b"last"}
        for offset, word in places.items():
            migration.guest.write(offset, word * 1024)
        await migration.begin()
        assert migration.pool.db.get("VDI", migration.pool.db.by_uuid("VDI", migration.shell.disks[0].vdi))[
            "sm_config"
        ] == {"image-format": "qcow2"}
        first = await migration.sync()
        assert first.bytes_sent < 8 * MIB
        migration.guest.write(2 * TIB + 7 * MIB, bytes(4096))
        migration.guest.write(3 * TIB - 512, b"LAST" * 128)
        second = await migration.sync()
        assert (second.kind, second.bytes_sent) == ("delta", 2 * (64 << 10))
        assert differing(migration) == []
        for offset in places:
            assert stored(migration, offset, 4096) == migration.guest.read(offset, 4096)
        await migration.power_off()
        migration.guest.write(TIB + 4096, b"off!" * 128)  # what a guest writes at its shutdown
        final = await migration.sync(final=True)
        assert final.bytes_sent < MIB
        assert differing(migration) == []


async def test_a_disk_that_the_sr_cannot_hold_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with one_migration(tmp_path, size_mib=3 * TIB / MIB) as migration:
        facts = migration.target.facts(None)
        seen = Seen(migration.machine, target=facts, template="t")
        [check] = [each for each in run_checks(seen) if each.severity == "blocker"]
        assert check.code == "preflight.disk_too_large"
        assert "3.0 TiB, SR local-ext takes 2.0 TiB" in check.message
        with pytest.raises(FerryError) as refused:
            await migration.begin()
        assert refused.value.code.startswith("xapi.")


@pytest.mark.parametrize("size_mib", [9.0, 9 + 1 / 2048])
async def test_a_raw_volume_that_held_other_data_ends_equal(tmp_path: Path, size_mib: float) -> None:
    """LVM without VHD: what is not written is what was there before, so the whole disk is sent, zeros too."""
    with one_migration(tmp_path, size_mib=size_mib, sr={"name": "raw", "type": "lvm"}) as migration:
        [record] = migration.pool.db.all("SR").values()
        record["sm_config"] = {}
        migration.guest.write(3 * MIB, b"data" * (MIB // 4))
        await migration.begin()
        assert not migration.shell.disks[0].prezeroed
        file = migration.pool.pool.vdi_file(migration.pool.db.by_uuid("VDI", migration.shell.disks[0].vdi))
        file.write_bytes(b"\xa5" * migration.guest.capacity + bytes(file.stat().st_size - migration.guest.capacity))
        await migration.sync()
        migration.guest.write(3 * MIB, bytes(MIB // 2))
        await migration.power_off()
        await migration.sync(final=True)
        assert await migration.verdict() == HOLDS


@pytest.mark.parametrize("datastore", ["nfs1", "vsan1"])
async def test_eight_gibibytes_in_six_hundred_pieces(tmp_path: Path, datastore: str) -> None:
    chance = random.Random(600)
    with one_migration(tmp_path, size_mib=8192, datastore=datastore) as migration:
        written = set(chance.sample(range(8 << 30 >> 20), 600))
        for place in written:
            migration.guest.write(place * MIB + 512 * chance.randrange(1024), chance.randbytes(512 * 9))
        await migration.begin()
        first = await migration.sync()
        assert 0 < first.bytes_sent <= 600 * (256 << 10) * 2
        assert differing(migration) == []
        for place in chance.sample(range(8 << 30 >> 20), 40):
            migration.guest.write(place * MIB, bytes(4096))
        second: Any = await migration.sync()
        assert second.kind == "delta"
        assert second.bytes_sent <= 1.05 * 40 * (64 << 10)
        assert differing(migration) == []
        migration.guest.write(8191 * MIB, b"last" * 1024)
        await migration.power_off()
        await migration.sync(final=True)
        assert differing(migration) == []
