"""Snapshots of other people: they stay, their chain is read through, and every pass compares (SAFETY 8, 11)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from platforms.vsphere.transports.nfs import MountedFile
from simulators.faults import FaultRule
from tests.conformance.one_migration import MIB, OneMigration, Verdict, one_migration

HOLDS = Verdict(equal=True, target_is_sent=True, target_is_source=True)


@pytest.fixture(params=["nfs1", "vmfs1"])
def migration(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OneMigration]:
    with one_migration(tmp_path, datastore=request.param) as migration:
        migration.guest.write(0, b"boot" * 1024)
        migration.guest.write(3 * MIB, b"data" * (MIB // 4))
        yield migration


async def test_one_that_was_there_before_stays_and_the_migration_goes_warm(migration: OneMigration) -> None:
    migration.vcenter.do("web01", "snapshot", name="before the update")
    migration.guest.write(5 * MIB, b"over" * 4096)
    await migration.begin()
    first = await migration.sync()
    assert (first.kind, first.transport) == ("initial", "nfc")
    migration.guest.write(5 * MIB + 512, b"new1" * 4096)
    second = await migration.sync()
    assert second.kind == "compare"
    assert "not ours" in second.reason or "off for this disk" in second.reason
    assert 0 < second.bytes_sent <= MIB, "no more than the blocks that differ"
    migration.guest.write(7 * MIB, b"last" * 4096)
    await migration.power_off()
    await migration.sync(final=True)

    assert await migration.verdict() == HOLDS
    assert migration.vcenter.state()["web01"]["snapshots"][0] == "before the update"


async def test_one_that_comes_and_goes_between_passes_makes_comparisons_and_then_deltas_again(
    migration: OneMigration,
) -> None:
    await migration.begin()
    await migration.sync()
    migration.guest.write(5 * MIB, b"new1" * 4096)
    migration.vcenter.do("web01", "snapshot", name="nightly backup")
    migration.guest.write(6 * MIB, b"new2" * 4096)
    assert (await migration.sync()).kind == "compare"
    [theirs] = migration.vcenter.world.vm("web01").all_snapshots()
    migration.vcenter.world.vm("web01").drop_snapshot(theirs)
    migration.guest.write(6 * MIB, b"new3" * 4096)
    assert (await migration.sync()).kind == "compare"
    migration.guest.write(1 * MIB, b"new4" * 4096)
    assert (await migration.sync()).kind == "delta"
    await migration.power_off()
    await migration.sync(final=True)

    assert await migration.verdict() == HOLDS


@pytest.mark.parametrize("mounted", [False, True])
async def test_deltas_of_a_chain_are_never_opened_by_us(
    tmp_path: Path, mounted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COWD and SESparse are the host's affair: a chain is read by whoever wrote it, or a flat base by itself."""
    opened: list[str] = []
    whole = MountedFile.__init__
    monkeypatch.setattr(
        MountedFile, "__init__", lambda self, file: (opened.append(file.name), whole(self, file))[1]
    )  # fmt: skip
    with one_migration(tmp_path, datastore="nfs1", mounted=mounted) as migration:
        asked = {
            name: migration.vcenter.faults.add(FaultRule("GET /folder", object=name, count=-1))
            for name in ("*-flat.vmdk", "*-delta.vmdk", "*-sesparse.vmdk", "*-??????.vmdk", "web01.vmdk")
        }
        migration.guest.write(3 * MIB, b"data" * (MIB // 4))
        await migration.begin()
        await migration.sync()
        migration.vcenter.do("web01", "snapshot", name="nightly backup")
        migration.guest.write(5 * MIB, b"new1" * 4096)
        through_the_chain = await migration.sync()
        await migration.power_off()
        await migration.sync(final=True)
        assert await migration.verdict() == HOLDS

    assert through_the_chain.transport == "nfc"
    assert set(opened) == ({"web01-flat.vmdk"} if mounted else set())
    struck = {name: rule.struck for name, rule in asked.items()}
    assert struck.pop("*-flat.vmdk") > 0
    assert struck == dict.fromkeys(struck, 0)


def test_no_parser_of_their_formats_is_among_what_ships() -> None:
    root = Path(__file__).parents[2]
    for room in ("starter", "workflows", "activities", "platforms", "disks", "contracts"):
        for file in (root / room).rglob("*.py"):
            if file.is_relative_to(root / "platforms" / "files"):
                continue  # which knows their names, and leaves their tables to qemu
            words = file.read_text().lower()
            assert not [each for each in ("cowd", "sesparse", "cafebabe") if each in words], file
