"""The target read back while the source runs, and in the downtime only its difference to what was read, as VHD."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.errors import FerryError
from contracts.steps import ProofReport
from disks.manifest import BLOCK
from simulators.faults import FaultRule
from tests.conformance.one_migration import MIB, OneMigration, one_migration
from tests.conformance.xapi_lab import logged_in

VHD_BLOCK = 2 * MIB


@pytest.fixture
def migration(tmp_path: Path) -> Iterator[OneMigration]:
    with one_migration(tmp_path) as migration:
        migration.guest.write(0, b"boot" * 1024)
        migration.guest.write(3 * MIB, b"data" * (MIB // 4))
        yield migration


def snapshots(migration: OneMigration) -> list[str]:
    """Uuids of the VDIs that are snapshots."""
    return [each["uuid"] for each in migration.pool.db.all("VDI").values() if each["is_a_snapshot"]]


def take_base(migration: OneMigration) -> str:
    report = migration.target.take_bases(migration.shell.vm, migration.errand)
    return report.vdis[migration.shell.disks[0].vdi]


async def read_base(migration: OneMigration) -> tuple[str, ProofReport]:
    base = take_base(migration)
    return base, await migration.read_back("between", base, base=base)


async def based(migration: OneMigration) -> str:
    """Sent once, and read back whole from a base."""
    await migration.begin()
    await migration.sync()
    base, report = await read_base(migration)
    assert (report.holds, report.made) == (True, True)
    return base


async def ends(migration: OneMigration) -> str:
    await migration.power_off()
    await migration.sync(final=True)
    snapshot = migration.target.snapshot_shell(migration.shell.vm, migration.errand)
    return snapshot.vdis[migration.shell.disks[0].vdi]


async def test_in_the_downtime_no_more_is_read_than_the_blocks_that_were_written_since(migration: OneMigration) -> None:
    base = await based(migration)
    migration.guest.write(5 * MIB, b"new1" * 4096)
    await migration.sync()
    migration.guest.write(7 * MIB, b"last" * 4096)

    since = await migration.read_back("since", await ends(migration), base=base)

    assert (since.holds, since.made, since.bytes_read) == (True, True, 2 * VHD_BLOCK)
    assert "against the snapshot" in since.method
    assert not any(vbd["currently_attached"] for vbd in migration.pool.db.all("VBD").values())


async def test_a_bit_that_flips_in_what_was_written_since_is_found_and_mended(migration: OneMigration) -> None:
    base = await based(migration)
    migration.guest.write(7 * MIB, b"last" * 4096)
    await migration.power_off()
    await migration.sync(final=True)
    migration.flip(7 * MIB + 5)
    snapshot = migration.target.snapshot_shell(migration.shell.vm, migration.errand)
    vdi = snapshot.vdis[migration.shell.disks[0].vdi]

    assert (await migration.read_back("since", vdi, base=base)).differences == (7 * MIB,)

    assert (await migration.read_back("since", await ends(migration), base=base)).holds
    assert (await migration.verdict()).equal


@pytest.mark.parametrize("beside", [False, True], ids=["alone in its block of the VHD", "beside one that came through"])
async def test_a_write_that_is_lost_on_the_way_is_found_and_mended(migration: OneMigration, beside: bool) -> None:
    base = await based(migration)
    migration.guest.write(7 * MIB, b"last" * 4096)
    if beside:
        migration.guest.write(6 * MIB, b"near" * 4096)
    migration.pool.faults.add(FaultRule(method="PUT /import_raw_vdi", action="lose", argument=7 * MIB))
    vdi = await ends(migration)

    lost = await migration.read_back("since", vdi, base=base)

    assert (lost.holds, lost.differences) == (False, (7 * MIB,))
    assert (await migration.read_back("since", await ends(migration), base=base)).holds
    assert (await migration.verdict()).equal


async def test_a_comparison_does_not_want_what_it_found_equal_to_be_in_the_difference(migration: OneMigration) -> None:
    base = await based(migration)
    migration.vcenter.faults.add(
        FaultRule(method="QueryChangedDiskAreas", action="fault", argument="FileFault", count=-1)
    )
    migration.guest.write(7 * MIB, b"last" * 4096)
    await migration.power_off()
    assert (await migration.sync(final=True)).kind == "compare"
    snapshot = migration.target.snapshot_shell(migration.shell.vm, migration.errand)

    since = await migration.read_back("since", snapshot.vdis[migration.shell.disks[0].vdi], base=base)

    assert (since.holds, since.bytes_read) == (True, VHD_BLOCK)


async def test_what_flips_before_the_base_is_taken_is_mended_and_another_base_taken(migration: OneMigration) -> None:
    await migration.begin()
    await migration.sync()
    migration.flip(3 * MIB + 77)
    first, report = await read_base(migration)
    assert report.differences == (3 * MIB,)

    copied = await migration.sync()
    second, report = await read_base(migration)

    assert copied.bytes_sent == BLOCK
    assert report.holds
    assert snapshots(migration) == [second]
    assert first != second
    assert (await migration.read_back("since", await ends(migration), base=second)).holds


async def test_a_base_is_found_again_and_goes_when_it_is_dropped(migration: OneMigration, tmp_path: Path) -> None:
    await migration.begin()
    await migration.sync()
    session = logged_in(migration.pool, tmp_path / "pool")
    vdi = session.xenapi.VDI.get_by_uuid(migration.shell.disks[0].vdi)
    somebodys = session.xenapi.VDI.get_uuid(session.xenapi.VDI.snapshot(vdi))
    migration.pool.faults.add(FaultRule(method="VDI.snapshot", action="drop"))
    with pytest.raises(FerryError):
        take_base(migration)
    base = take_base(migration)

    assert take_base(migration) == base
    assert sorted(snapshots(migration)) == sorted([base, somebodys])

    pre_start = await ends(migration)
    migration.target.drop_bases(migration.errand)
    migration.target.drop_bases(migration.errand)

    assert sorted(snapshots(migration)) == sorted([pre_start, somebodys])


async def test_who_takes_a_base_after_it_was_dropped_takes_it_away_again(
    migration: OneMigration, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migration.begin()
    await migration.sync()
    call = migration.target._api.call

    def slowly(method: str, *params: object, **more: float) -> object:
        if method == "VDI.snapshot":
            monkeypatch.undo()
            migration.target.drop_bases(migration.errand)
        return call(method, *params, **more)

    monkeypatch.setattr(migration.target._api, "call", slowly)
    with pytest.raises(FerryError) as late:
        take_base(migration)

    assert late.value.code == "xapi.superseded"
    assert snapshots(migration) == []


async def test_a_removed_shell_leaves_no_base(migration: OneMigration) -> None:
    await based(migration)

    removed = migration.target.remove_shell(migration.errand)

    assert removed.kept_vdis == (migration.shell.disks[0].vdi,)
    assert snapshots(migration) == []


@pytest.mark.parametrize(
    ("action", "argument"),
    [("http", 404), ("http", 400), ("error", ["INTERNAL_ERROR", "Cannot compute differences on non-VHD images"])],
)
async def test_a_pool_that_refuses_a_base_says_so_before_anything_long_is_read(
    migration: OneMigration, action: str, argument: object
) -> None:
    migration.pool.faults.add(
        FaultRule(method="GET /export_raw_vdi[?]base", action=action, argument=argument, count=-1)
    )
    await migration.begin()
    await migration.sync()

    base, report = await read_base(migration)

    assert (report.made, report.bytes_read) == (False, 0)
    assert "against a base" in report.method
    since = await migration.read_back("since", await ends(migration), base=base)
    assert not since.made
    assert (await migration.read_back("whole", await ends(migration))).holds


async def test_a_network_that_breaks_is_not_taken_for_a_refusal(migration: OneMigration) -> None:
    base = await based(migration)
    migration.guest.write(7 * MIB, b"last" * 4096)
    vdi = await ends(migration)
    migration.pool.faults.add(FaultRule(method="GET /export_raw_vdi[?]base", action="eof", argument=4096))

    with pytest.raises(Exception, match="read back"):
        await migration.read_back("since", vdi, base=base)

    assert (await migration.read_back("since", vdi, base=base)).holds


async def test_a_base_that_was_not_proven_proves_nothing(migration: OneMigration) -> None:
    await migration.begin()
    await migration.sync()
    base = take_base(migration)

    assert not (await migration.read_back("since", await ends(migration), base=base)).made


@pytest.mark.parametrize(
    ("sr", "room", "why"),
    [
        ({"name": "thick", "type": "lvm", "size_gib": 0.03}, True, ""),
        ({"name": "thick", "type": "lvm", "size_gib": 0.02}, False, "reserves a disk once more"),
    ],
)
async def test_on_a_thick_sr_a_base_is_taken_only_where_the_pre_start_snapshot_finds_room_too(
    tmp_path: Path, sr: dict[str, object], room: bool, why: str
) -> None:
    with one_migration(tmp_path, sr=sr) as migration:
        migration.guest.write(0, b"boot" * 1024)
        await migration.begin()
        await migration.sync()

        report = migration.target.take_bases(migration.shell.vm, migration.errand)

        assert bool(report.vdis) == room
        assert why in report.reason
        if room:
            assert migration.target.take_bases(migration.shell.vm, migration.errand) == report, (
                "it has its room already"
            )
            assert await ends(migration)


async def test_where_ranges_can_be_read_there_is_no_need_of_a_base(tmp_path: Path) -> None:
    with one_migration(tmp_path, purpose="nbd") as migration:
        await migration.begin()

        report = migration.target.take_bases(migration.shell.vm, migration.errand)

        assert (report.vdis, report.reason) == ({}, "")


async def test_a_disk_that_is_no_vhd_has_no_base(tmp_path: Path) -> None:
    with one_migration(tmp_path) as migration:
        await migration.begin()
        vdi = migration.pool.db.by_uuid("VDI", migration.shell.disks[0].vdi)
        migration.pool.db.get("VDI", vdi)["sm_config"] = {"image-format": "qcow2"}

        assert "is no VHD" in migration.target.take_bases(migration.shell.vm, migration.errand).reason


async def test_an_sr_that_takes_no_snapshot_has_no_base_and_keeps_no_mark(migration: OneMigration) -> None:
    await migration.begin()
    refusal = ["SR_OPERATION_NOT_SUPPORTED", "OpaqueRef:sr"]
    migration.pool.faults.add(FaultRule(method="VDI.snapshot", action="error", argument=refusal))

    report = migration.target.take_bases(migration.shell.vm, migration.errand)

    assert (report.vdis, "takes no snapshot" in report.reason) == ({}, True)
    assert not any("ferry.base" in each["other_config"] for each in migration.pool.db.all("VDI").values())
