"""Our snapshot has a greatest age and growth, and the datastore's room is watched while it exists (SAFETY 10)."""

from datetime import timedelta
from pathlib import Path

import pytest

from activities import watching
from activities.watching import out_of_room
from contracts.machine import StoreRoom
from simulators.faults import FaultRule
from tests.conformance.one_migration import MIB, one_migration

GIB = 1 << 30
HOUR = timedelta(hours=1)


def store(grown: float, free: float, capacity: float = 8192) -> list[StoreRoom]:
    return [StoreRoom(datastore="vmfs1", grown=int(grown * GIB), free=int(free * GIB), capacity=int(capacity * GIB))]


@pytest.mark.parametrize(
    ("rooms", "age", "why"),
    [
        (store(grown=3, free=4000), HOUR, ""),
        (store(grown=3, free=4000), timedelta(hours=25), "24 h old"),
        (store(grown=3, free=2), HOUR, "grown to 3.0 GiB on vmfs1, which has 2.0 GiB free"),
        (store(grown=3, free=49), HOUR, "49.0 GiB free"),
        (store(grown=3, free=49, capacity=500), HOUR, ""),  # a small datastore is allowed to be fuller
        (store(grown=0.5, free=49), HOUR, ""),  # it was short before: the pass shall come to something
        ([], HOUR, ""),
    ],
)
def test_a_snapshot_must_go_before_it_fills_its_datastore(rooms, age, why):
    told = out_of_room(rooms, age)

    assert (why in told) if why else (told == "")


async def test_a_pass_whose_snapshot_reaches_a_limit_is_cut_and_the_next_one_pays_what_is_owed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with one_migration(tmp_path, size_mib=16) as migration:
        migration.segment_bytes = 2 * MIB
        migration.guest.write(0, b"data" * (2 * MIB))
        await migration.begin()
        rule = migration.vcenter.faults.add(FaultRule("GET /folder", count=-1, delay=0.2))
        with monkeypatch.context() as limits:
            limits.setattr(watching, "MEASURE", 0.3)
            limits.setattr(watching, "MOST_AGE", timedelta(0))
            cut = await migration.sync()
        rule.count = 0

        assert (cut.complete, "h old" in cut.reason) == (False, True)
        assert not migration.vcenter.world.vm("web01").all_snapshots()
        whole = await migration.sync()
        assert whole.complete
        await migration.power_off()
        await migration.sync(final=True)
        assert (await migration.verdict()).equal


async def test_a_snapshots_growth_is_measured(tmp_path: Path) -> None:
    with one_migration(tmp_path, size_mib=16) as migration:
        await migration.begin()
        assert migration.source.room(migration.machine.machine_id) == []
        freeze = await migration.freeze()
        migration.guest.write(4 * MIB, b"data" * MIB)

        [room] = migration.source.room(migration.machine.machine_id)

        assert (room.datastore, room.grown >= 4 * MIB, room.free > GIB) == ("nfs1", True, True)
        await migration.seal(freeze, complete=False)
