"""Trouble with the source in the middle of a migration: it ends with equal disks, or with a code that says why not."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from platforms.vsphere.transports import https, nfc
from simulators.faults import FaultRule
from tests.conformance.one_migration import MIB, OneMigration, Verdict, one_migration

HOLDS = Verdict(equal=True, target_is_sent=True, target_is_source=True)
ALLOCATED = 8 * (MIB + (64 << 10))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "PAUSE", 0.01)
    monkeypatch.setattr(nfc, "PAUSE", 0.01)


@contextmanager
def half_full(folder: Path, datastore: str) -> Iterator[OneMigration]:
    """16 MiB, half of it data; segments of 2 MiB."""
    with one_migration(folder, size_mib=16 + 1 / 2048, datastore=datastore) as made:
        chance = random.Random(4)
        for at in range(0, 16 * MIB, 2 * MIB):
            made.guest.write(at, chance.randbytes(MIB + 4096))
        made.guest.write(made.guest.capacity - 512, b"last".ljust(512))
        made.segment_bytes = 2 * MIB
        yield made


@pytest.fixture
def by_folder(tmp_path: Path, impatient: None) -> Iterator[OneMigration]:
    with half_full(tmp_path, "nfs1") as made:
        yield made


@pytest.fixture
def by_stream(tmp_path: Path, impatient: None) -> Iterator[OneMigration]:
    with half_full(tmp_path, "vsan1") as made:
        yield made


async def ends_equal(migration: OneMigration) -> None:
    """The guest writes on, frees, and writes to its last sector; then the cutover, and both proofs."""
    migration.vcenter.faults.clear()
    migration.guest.write(4 * MIB, bytes(MIB))  # zeros over data
    migration.guest.write(7 * MIB + 512, b"new!" * 1024)
    migration.guest.write(migration.guest.capacity - 512, b"LAST".ljust(512))
    await migration.sync()
    await migration.power_off()
    await migration.sync(final=True)
    assert await migration.verdict() == HOLDS


@pytest.mark.parametrize(
    "rule",
    [
        FaultRule("GET /folder", "truncate", argument=100_000, count=3, skip=6),
        FaultRule("GET /folder", "drop", argument=100_000, count=3, skip=6),
        FaultRule("GET /folder", "http", argument=503, count=3, skip=6),
    ],
    ids=["answers that end early", "connections that break", "a busy host"],
)
async def test_what_passes_is_tried_again(by_folder: OneMigration, rule: FaultRule) -> None:
    await by_folder.begin()
    by_folder.vcenter.faults.add(rule)

    report = await by_folder.sync()

    assert (report.complete, report.transport, report.bytes_sent_again) == (True, "https", 0)
    assert rule.struck == 3
    await ends_equal(by_folder)


@pytest.mark.parametrize(
    ("action", "argument", "said"),
    [
        ("no-range", None, "a range was asked for, and all was sent"),
        ("wrong-range", 512, "another range was sent than was asked for"),
        ("wrong-range", 1 << 20, "another range was sent than was asked for"),
        ("wrong-size", 512, "bytes, the disk has"),
        ("http", 404, "HTTP 404"),
        ("http", 500, "HTTP 500"),
    ],
)
async def test_an_answer_that_is_not_to_the_question_is_not_believed_and_the_stream_goes_on(
    by_folder: OneMigration, action: str, argument: int | None, said: str
) -> None:
    await by_folder.begin()
    by_folder.vcenter.faults.add(FaultRule("GET /folder", action, argument=argument, skip=6, count=-1))

    report = await by_folder.sync()

    assert (report.complete, report.transport) == (True, "nfc")
    assert "https was given up" in report.transport_reason
    assert said in report.transport_reason
    assert report.bytes_sent <= ALLOCATED + (64 << 10)
    assert report.bytes_sent_again == 0, "what was copied is kept"
    await ends_equal(by_folder)


@pytest.mark.parametrize("action", ["truncate", "drop"])
async def test_a_stream_that_ends_early_begins_anew(by_stream: OneMigration, action: str) -> None:
    await by_stream.begin()
    rule = by_stream.vcenter.faults.add(FaultRule("GET /nfc", action, argument=5 * MIB, count=2))

    report = await by_stream.sync()

    assert (report.complete, report.transport, report.bytes_sent_again, rule.struck) == (True, "nfc", 0, 2)
    await ends_equal(by_stream)


@pytest.mark.parametrize("action", ["truncate", "drop"])
async def test_a_stream_that_never_comes_to_its_end_is_told_and_what_came_is_kept(
    by_stream: OneMigration, action: str
) -> None:
    await by_stream.begin()
    by_stream.vcenter.faults.add(FaultRule("GET /nfc", action, argument=5 * MIB, count=-1))
    freeze = await by_stream.freeze()

    with pytest.raises(ApplicationError, match="the stream broke 4 times") as told:
        await by_stream.copy(freeze)

    assert told.value.type == "vsphere.read_failed"
    assert by_stream.standing().position >= 2 * MIB
    by_stream.vcenter.faults.clear()
    report = await by_stream.copy(freeze)
    await by_stream.seal(freeze, complete=report.complete)
    assert (report.complete, report.bytes_sent_again) == (True, 0)
    await ends_equal(by_stream)


async def test_a_lease_that_is_lost_in_mid_stream_is_taken_again(tmp_path: Path, impatient: None) -> None:
    with one_migration(tmp_path, size_mib=40, datastore="vsan1") as migration:
        migration.guest.write(0, random.Random(5).randbytes(40 * MIB))  # more than sockets hold
        migration.segment_bytes = 2 * MIB
        await migration.begin()
        migration.pool.faults.add(FaultRule("PUT /import_raw_vdi", "slow", argument=24 * MIB, count=-1))
        freeze = await migration.freeze()
        begun = migration.vcenter.counted()["leases"]["begun"]
        copying, _ = await migration.copy_of_one_segment(freeze)
        [lost] = migration.vcenter.world.leases._held.values()
        lost.timed_out = True

        report = await copying

        assert (report.complete, report.transport, report.bytes_sent_again) == (True, "nfc", 0)
        assert migration.vcenter.counted()["leases"]["begun"] == begun + 2
        migration.pool.faults.clear()
        await migration.seal(freeze, complete=True)
        await ends_equal(migration)


@pytest.mark.parametrize("way", ["by_folder", "by_stream"])
async def test_change_ids_that_were_reset_make_a_comparison_and_no_blind_copy(
    request: pytest.FixtureRequest, way: str
) -> None:
    migration: OneMigration = request.getfixturevalue(way)
    await migration.begin()
    await migration.sync()
    migration.guest.write(9 * MIB, b"before the reset".ljust(512))
    assert migration.guest.tracking is not None
    migration.guest.tracking.reset()
    migration.guest.write(13 * MIB, b"after it".ljust(512))

    report = await migration.sync()

    assert (report.kind, report.complete) == ("compare", True)
    assert "tracking was reset" in report.reason
    assert report.bytes_sent == 2 * (256 << 10), "only the blocks that differ"
    migration.guest.write(2 * MIB, b"tracked again".ljust(512))
    assert (await migration.sync()).kind == "delta"
    await ends_equal(migration)


@pytest.mark.parametrize("datastore", ["nfs1", "vsan1"])
@pytest.mark.parametrize("takes_chunked", [True, False])
@pytest.mark.parametrize("sectors", [1, 9, 2 * 2048 - 1, 2 * 2048 + 1, 6 * 2048 + 7])
async def test_disks_of_odd_sizes_end_equal_to_their_last_sector(
    tmp_path: Path, datastore: str, takes_chunked: bool, sectors: int
) -> None:
    size = sectors * 512
    with one_migration(
        tmp_path, size_mib=sectors / 2048, datastore=datastore, takes_chunked=takes_chunked
    ) as migration:
        assert migration.guest.capacity == size
        migration.guest.write(size - 512, b"first".ljust(512))
        await migration.begin()
        await migration.sync()
        assert migration.shell.disks[0].virtual_size == -(-size // (2 * MIB)) * 2 * MIB, "as the SR rounds"
        migration.guest.write(size - 512, bytes(512))
        await migration.sync()
        migration.guest.write(size - 512, b"last".ljust(512))
        await migration.power_off()
        await migration.sync(final=True)
        assert await migration.verdict() == HOLDS
