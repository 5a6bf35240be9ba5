"""A target that was to be started, and was not: the pool tells for certain, else no delta (SAFETY 18)."""

import asyncio

import pytest
from temporalio.testing import ActivityEnvironment

from activities.target import TargetActivities
from contracts.steps import NeverRanOrder, ShellRef
from disks.ledger import Ledger
from tests.conformance.one_migration import one_migration
from tests.conformance.xapi_target import noise

CUTOVER, BACK = 2, 3


class Undone:
    """A cutover of epoch 2 that was undone, its target blocked again under epoch 3."""

    def __init__(self, one):
        self.one, self.steps = one, TargetActivities(one.systems)
        self.api = one.target._api

    async def cut_over(self):
        one = self.one
        one.guest.write(0, noise(1, 1 << 20))
        await one.begin()
        await one.sync()
        await self.run(self.steps.diverge_target, self.ref(CUTOVER))
        await self.run(self.steps.unblock_target, self.ref(CUTOVER))

    async def go_back(self):
        await self.run(self.steps.block_target, self.ref(BACK))
        await self.run(self.steps.raise_target_epoch, self.ref(BACK))

    async def undiverge(self, epoch=BACK):
        ref = self.ref(epoch)
        said = NeverRanOrder(**ref.model_dump(exclude={"errand"}), errand=ref.errand, cutover=CUTOVER)
        return (await self.run(self.steps.undiverge_target, said)).reason

    def ref(self, epoch):
        [disk] = self.one.shell.disks
        return ShellRef(errand=self.one.errand, vm=self.one.shell.vm, epoch=epoch, disk_ids=(disk.disk_id,))

    async def run(self, step, order):
        return await ActivityEnvironment().run(step, order)

    @property
    def vm(self):
        return self.api.call("VM.get_by_uuid", self.one.shell.vm)


@pytest.fixture
def undone(tmp_path):
    with one_migration(tmp_path) as one:
        made = Undone(one)
        asyncio.run(made.cut_over())
        yield made


async def test_one_that_never_ran_takes_deltas_again_and_holds_what_the_source_holds(undone):
    one = undone.one
    await undone.go_back()

    assert await undone.undiverge() == ""
    assert await undone.undiverge() == "", "an attempt that was lost is made again"

    one.guest.write(3 << 20, noise(2, 1 << 20))
    await one.sync()
    await one.power_off()
    await one.sync(final=True)
    verdict = await one.verdict()
    assert verdict.equal
    assert verdict.target_is_sent
    assert verdict.target_is_source


async def refused(undone, told):
    assert told in await undone.undiverge()
    with pytest.raises(Exception, match="started") as failed:
        await undone.one.sync()
    assert failed.value.type == "target.diverged"


async def test_one_that_somebody_started_and_stopped_takes_none(undone):
    undone.api.call("VM.start", undone.vm, False, False)
    undone.api.call("VM.hard_shutdown", undone.vm)
    await undone.go_back()

    await refused(undone, "was started")


async def test_nor_where_an_older_pool_forgets_the_time_when_it_halts(undone):
    undone.api.call("VM.start", undone.vm, False, False)
    undone.api.call("VM.hard_shutdown", undone.vm)
    db = undone.one.pool.db
    metrics = db.get("VM_metrics", db.get("VM", undone.vm)["metrics"])
    metrics["start_time"] = metrics["start_time"].fromtimestamp(0, metrics["start_time"].tzinfo)
    await undone.go_back()

    await refused(undone, "knows on which CPU")


async def test_nor_where_the_flags_are_gone_and_the_time_is_there(undone):
    undone.api.call("VM.start", undone.vm, False, False)
    undone.api.call("VM.hard_shutdown", undone.vm)
    undone.one.pool.db.get("VM", undone.vm)["last_boot_CPU_flags"] = {}
    await undone.go_back()

    await refused(undone, "was started at 20")


async def test_one_that_runs_takes_none(undone):
    undone.api.call("VM.start", undone.vm, False, False)
    await undone.go_back()

    await refused(undone, "is running")


async def test_one_that_anybody_may_start_takes_none(undone):
    await refused(undone, "is not blocked")


async def test_one_that_is_gone_takes_none(undone):
    await undone.go_back()
    undone.api.call("VM.destroy", undone.vm)

    assert await undone.undiverge() != ""


async def test_a_decision_that_a_newer_one_overtook_is_refused(undone):
    await undone.go_back()

    with pytest.raises(Exception, match="epoch") as failed:
        await undone.undiverge(epoch=CUTOVER)

    assert failed.value.type == "source.stale_epoch"
    assert undone.one.standing().diverged


def test_a_lost_line_of_an_older_ferry_is_never_taken_off(undone):
    """Its mark names no cutover."""
    one = undone.one
    ledger = Ledger(one.store.disk("another", one.shell.disks[0].disk_id))
    ledger.journal.append("diverged")
    ledger.never_ran(CUTOVER)

    assert Ledger(one.store.disk("another", one.shell.disks[0].disk_id)).standing.diverged
