"""A slow pool holds the source back, memory stays what it is, and a cut is heard at once: by every transport."""

import asyncio
import random
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from contracts.steps import Freeze
from platforms.xapi.vhd_segment import MOST_GATHERED
from simulators.faults import FaultRule
from tests.conformance.one_migration import MIB, OneMigration, Verdict, one_migration
from tests.conformance.test_nbd import base_of, vddk

__all__ = ["vddk"]
SIZE = 80
PUT = "PUT /import_raw_vdi"
HOLDS = Verdict(equal=True, target_is_sent=True, target_is_source=True)
ON_THE_WAY = 28 * MIB
"""Batches asked for ahead, and what the sockets of three hops hold by themselves."""
WAYS: dict[str, dict[str, Any]] = {
    "https": {"datastore": "nfs1"},
    "nfs": {"datastore": "nfs1", "mounted": True},
    "nfc": {"datastore": "vsan1"},
    "nbd": {"datastore": "vmfs1"},
    "https, VHD streams": {"datastore": "nfs1", "takes_chunked": False},
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gathered(way: str) -> int:
    """Bytes that are held in memory before any is sent."""
    return MOST_GATHERED if "VHD" in way else 0


@pytest.fixture
def migration(
    tmp_path: Path, way: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OneMigration]:
    said = dict(WAYS[way])
    if way == "nbd":
        said["vddk"], _ = request.getfixturevalue("vddk")
    with one_migration(tmp_path, size_mib=SIZE, **said) as made:
        base_of(made, monkeypatch)
        for at in range(0, SIZE * MIB, 8 * MIB):
            made.guest.write(at, random.Random(at).randbytes(8 * MIB))
        made.segment_bytes = 1 << 30
        yield made


async def begun(
    migration: OneMigration, *, freeze: Freeze | None = None, mib_per_second: int = 0
) -> tuple[Freeze, ActivityEnvironment, Any]:
    """A copy of which some is written already."""
    if freeze is None:
        await migration.begin()
        freeze = await migration.freeze()
    if mib_per_second:
        migration.pool.faults.add(FaultRule(PUT, "slow", argument=mib_per_second * MIB, count=-1))
    environment = ActivityEnvironment()
    order = migration._copy_order(freeze)
    copying = asyncio.ensure_future(environment.run(migration._transfer.copy_disk, order))
    while not migration.pool.pool.stats.bytes_written and not copying.done():
        await asyncio.sleep(0.01)
    return freeze, environment, copying


async def test_a_slow_pool_holds_the_source_back_in_bounded_memory(
    migration: OneMigration, way: str, gathered: int
) -> None:
    tracemalloc.start()
    try:
        served = migration.vcenter.stats.bytes_served
        freeze, _, copying = await begun(migration, mib_per_second=24)
        furthest = 0
        while not copying.done():
            ahead = migration.vcenter.stats.bytes_served - served - migration.pool.pool.stats.bytes_written
            furthest = max(furthest, ahead)
            await asyncio.sleep(0.02)
        report = await copying
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (report.complete, report.transport, report.bytes_sent) == (True, way.partition(",")[0], SIZE * MIB)
    assert furthest < ON_THE_WAY + gathered
    assert peak < 40 * MIB + gathered, f"{peak / MIB:.0f} MiB, both simulators' included"
    await migration.seal(freeze, complete=True)


async def test_a_cut_is_heard_within_a_second_and_nothing_is_sent_twice(migration: OneMigration, gathered: int) -> None:
    freeze, environment, copying = await begun(migration, mib_per_second=24)

    cut = time.monotonic()
    environment.cancel()
    report = await copying
    took = time.monotonic() - cut

    assert not report.complete
    assert 0 < report.bytes_sent < SIZE * MIB
    on_the_way = gathered / (24 * MIB)
    assert took < 1.0 + on_the_way, "what was sent is made durable, and no more is read"
    await migration.seal(freeze, complete=False)
    migration.pool.faults.clear()
    again = await migration.sync()
    assert again.bytes_sent_again == 0
    assert report.bytes_sent + again.bytes_sent == SIZE * MIB
    await migration.power_off()
    await migration.sync(final=True)
    assert await migration.verdict() == HOLDS


@pytest.mark.parametrize("way", ["https", "nfc", "nbd"], indirect=True)
async def test_a_cut_is_heard_though_the_source_hangs(
    migration: OneMigration, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = migration.vcenter.faults
    await migration.begin()
    freeze = await migration.freeze()
    monkeypatch.setenv("FERRY_TEST_HANGS_AT", str(40 * MIB))
    faults.add(FaultRule("GET /folder", "stall", argument=1000, skip=20, count=-1))
    faults.add(FaultRule("GET /nfc", "stall", argument=40 * MIB, count=-1))
    _, environment, copying = await begun(migration, freeze=freeze)
    before = -1
    while before != migration.pool.pool.stats.bytes_written:  # until nothing comes any more
        before = migration.pool.pool.stats.bytes_written
        await asyncio.sleep(0.7)
    assert not copying.done()

    cut = time.monotonic()
    environment.cancel()
    report = await copying

    assert time.monotonic() - cut < 3.0 + (5.0 if way == "nbd" else 0.0), "nbdkit has five seconds to take its leave"
    assert (report.complete, report.transport) == (False, way)
    assert 30 * MIB < report.bytes_sent < SIZE * MIB, "what came is durable"
    faults.clear()
    monkeypatch.delenv("FERRY_TEST_HANGS_AT")
    await migration.seal(freeze, complete=False)
    again = await migration.sync()
    assert (again.transport, again.bytes_sent_again) == (way, 0)
    assert report.bytes_sent + again.bytes_sent == SIZE * MIB
    await migration.power_off()
    await migration.sync(final=True)
    assert await migration.verdict() == HOLDS
