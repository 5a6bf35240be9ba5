"""Going on with what an ended migration copied: real activities, clients and simulators."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.steps import CopyOrder
from tests.conformance.one_migration import MIB, OneMigration, one_migration
from tests.conformance.xapi_target import order_for


@pytest.fixture
def migration(tmp_path: Path) -> Iterator[OneMigration]:
    with one_migration(tmp_path) as made:
        yield made


def end(migration: OneMigration) -> tuple[str, ...]:
    """As the way back of a failed one does; answers the VDIs that it keeps."""
    kept = migration.target.remove_shell(migration.errand).kept_vdis
    migration.source.change_tracking_off(migration.machine.machine_id)
    migration.source.release(migration.machine.machine_id, migration.errand.migration)
    return kept


def distrusting(migration: OneMigration) -> None:
    """All copies from here on are ordered as those of a new run are."""
    order = migration._copy_order

    def distrusted(freeze: object) -> CopyOrder:
        return order(freeze).model_copy(update={"distrust": "nobody watched"})  # type: ignore[arg-type]

    migration._copy_order = distrusted  # type: ignore[method-assign]


async def test_the_vdi_is_found_again_and_only_what_differs_is_sent(migration: OneMigration) -> None:
    migration.guest.write(0, b"a" * (4 * MIB))
    await migration.begin()
    first = await migration.sync()
    [disk] = migration.shell.disks
    assert end(migration) == (disk.vdi,)
    migration.guest.write(MIB, b"b" * 65536)  # while nobody watched

    distrusting(migration)
    await migration.begin()
    again = await migration.sync()

    assert migration.shell.disks[0].vdi == disk.vdi
    assert not migration.shell.disks[0].prezeroed
    assert (first.kind, again.kind, again.reason) == ("initial", "compare", "nobody watched")
    assert 0 < again.bytes_sent <= MIB
    await migration.power_off()
    await migration.sync(final=True)
    verdict = await migration.verdict()
    assert verdict.equal
    assert verdict.target_is_sent


async def test_one_that_was_cut_in_its_first_pass_pays_what_it_owes(migration: OneMigration) -> None:
    migration.guest.write(0, b"a" * (6 * MIB))
    migration.segment_bytes = MIB
    await migration.begin()
    await migration.cut_sync()
    end(migration)

    distrusting(migration)
    await migration.begin()
    await migration.sync()

    await migration.power_off()
    await migration.sync(final=True)
    assert (await migration.verdict()).equal


async def test_a_shell_that_is_made_anew_has_the_disk_and_the_newer_epoch(migration: OneMigration) -> None:
    migration.guest.write(0, b"a" * MIB)
    await migration.begin()
    await migration.sync()
    end(migration)

    order = order_for(migration.target, migration.machine, errand=migration.errand, epoch=7)
    shell = migration.target.make_shell(order)

    db = migration.pool.db
    assert db.get("VM", db.by_uuid("VM", shell.vm))["other_config"]["ferry.epoch"] == "7"
