"""What a migration that died left behind is found everywhere, and removed; and nothing that is another's."""

import asyncio
import json

import pytest
from temporalio.testing import ActivityEnvironment

from activities.leftovers import LeftoverActivities
from activities.owners import Owner
from contracts.leftovers import LookForLeftovers, RemoveLeftover
from contracts.machine import OwnerMark
from contracts.steps import SourceOrder
from simulators.xapi.left import lying_about
from tests.conformance.one_migration import one_migration
from tests.conformance.xapi_target import noise


class Known:
    """Whom Temporal and the store know."""

    def __init__(self):
        self.states = {}

    async def of(self, migration, workflow):
        return Owner(self.states.get(migration, "unknown"), workflow=workflow)


class Gc:
    def __init__(self, one):
        self.one, self.known = one, Known()
        self.known.states[one.errand.migration] = "over"
        self.activities = LeftoverActivities(one.systems, lambda: self.known)

    async def plan(self):
        report = await ActivityEnvironment().run(self.activities.find_leftovers, LookForLeftovers())
        assert not report.unseen
        return {each.kind: each for each in report.items if each.side != "store"}

    async def remove(self, item, **said):
        return await ActivityEnvironment().run(self.activities.remove_leftover, RemoveLeftover(item=item, **said))

    async def apply(self):
        from contracts.leftovers import ORDER

        plan = await self.plan()
        wanted = [each for each in plan.values() if each.sort == "leftover"]
        return [await self.remove(each) for each in sorted(wanted, key=lambda each: ORDER.index(each.kind))]

    @property
    def vm(self):
        return self.one.vcenter.world.vm("web01")


def ours_on(vm):
    return {key for key in vm.extra_config if key.startswith("ferry.")}


@pytest.fixture
def died_in_a_pass(tmp_path):
    """In mid-pass: mark, tracking, snapshot, shell, a VDI with data, and the task of a worker that is gone."""

    async def until_it_dies(one):
        one.guest.write(0, noise(1, 6 << 20))
        await one.begin()
        freeze = await one.freeze()
        copying, environment = await one.copy_of_one_segment(freeze)
        environment.cancel()
        await copying
        one.target._api.call("task.create", "Ferry: web01 / a task", f"writer x (migration {one.errand.migration})")

    with one_migration(tmp_path) as one:
        one.segment_bytes = 1 << 20
        asyncio.run(until_it_dies(one))
        yield Gc(one)


async def test_all_that_it_left_is_listed_with_what_removing_does(died_in_a_pass):
    plan = await died_in_a_pass.plan()

    assert {kind: each.sort for kind, each in plan.items()} == {
        "mark": "leftover", "tracking": "leftover", "snapshot": "leftover", "shell": "leftover", "task": "leftover",
        "vdi-data": "data",
    }  # fmt: skip
    assert plan["vdi-data"].bytes > 0
    assert plan["snapshot"].age_s is not None
    assert all(each.workflow == "migrate/vc/web01" for kind, each in plan.items() if kind not in ("task",))
    assert all(each.removal for each in plan.values())


async def test_apply_removes_it_and_leaves_the_copied_data_until_it_is_named(died_in_a_pass):
    gc = died_in_a_pass
    pool = gc.one.pool.pool

    assert {each.outcome for each in await gc.apply()} == {"removed"}

    assert not ours_on(gc.vm)
    assert not gc.one.source.machines()[0].change_tracking
    assert [each.name for each in gc.one.source.machines() if each.snapshots] == []
    left = lying_about(pool)
    assert left["tasks"] == []
    assert left["dom0_vbds"] == []
    plan = await gc.plan()
    assert {kind: each.sort for kind, each in plan.items()} == {"vdi-data": "data"}
    item = plan["vdi-data"]
    assert left["loose_vdis"] == [item.subject]
    for said in ({}, {"named": True}):
        refused = await gc.remove(item, **said)
        assert (refused.outcome, refused.code) == ("refused", "gc.needs_yes")
    assert lying_about(pool)["loose_vdis"] == [item.subject]

    assert (await gc.remove(item, named=True, data=True)).outcome == "removed"
    assert (await gc.remove(item, named=True, data=True)).outcome == "gone"
    assert lying_about(pool)["loose_vdis"] == []
    assert await gc.plan() == {}


async def test_nothing_of_a_living_migration_is_touched(died_in_a_pass):
    gc = died_in_a_pass
    listed = await gc.plan()
    gc.known.states[gc.one.errand.migration] = "living"

    assert {each.sort for each in (await gc.plan()).values()} == {"living"}
    for item in listed.values():
        refused = await gc.remove(item, named=True, data=True)
        assert (refused.outcome, refused.code) == ("refused", "gc.owner_lives")
    assert await gc.apply() == []
    assert len(await gc.plan()) == len(listed)


async def test_what_another_ferry_made_goes_only_where_it_is_named(died_in_a_pass):
    gc = died_in_a_pass
    gc.known.states.clear()

    plan = await gc.plan()
    assert {each.sort for each in plan.values()} == {"ask", "data"}
    assert await gc.apply() == []
    assert (await gc.remove(plan["mark"])).code == "gc.needs_yes"
    assert (await gc.remove(plan["mark"], named=True)).outcome == "removed"


async def test_what_changed_since_it_was_listed_stays(died_in_a_pass):
    gc = died_in_a_pass
    one = gc.one
    mark = (await gc.plan())["mark"]
    one.source.raise_epoch(one.errand.machine_id, one.errand.mark(7))
    assert (await gc.remove(mark)).code == "gc.changed"

    one.source.release(one.errand.machine_id, one.errand.migration)
    one.source.claim(one.errand.machine_id, OwnerMark(migration="another", workflow="migrate/vc/again"))
    gc.known.states["another"] = "over"
    assert (await gc.remove(mark)).code == "gc.changed"
    assert gc.vm.extra_config["ferry.migration"] == "another"


async def test_snapshots_of_others_and_vms_without_our_mark_are_not_even_seen(died_in_a_pass):
    gc = died_in_a_pass
    one = gc.one
    api = one.target._api
    [template] = api.call("VM.get_by_name_label", "Other install media")
    foreign = api.call("VM.clone", template, "somebody's")
    [shell] = [ref for ref, vm in api.call("VM.get_all_records").items() if vm["uuid"] == one.shell.vm]
    theirs = api.call("VM.snapshot", shell, "before I try something")

    plan = await gc.plan()

    seen = {each.subject for each in plan.values()}
    assert api.call("VM.get_uuid", foreign) not in seen
    assert api.call("VM.get_uuid", theirs) not in seen
    await gc.apply()
    names = {vm["name_label"] for vm in api.call("VM.get_all_records").values()}
    assert {"somebody's", "before I try something"} <= names


async def test_a_vdi_that_somebody_put_to_use_is_theirs(died_in_a_pass):
    gc = died_in_a_pass
    api = gc.one.target._api
    await gc.apply()
    item = (await gc.plan())["vdi-data"]
    [template] = api.call("VM.get_by_name_label", "Other install media")
    vm = api.call("VM.clone", template, "made of what was kept")
    vdi = api.call("VDI.get_by_uuid", item.subject)
    api.call(
        "VBD.create",
        {"VM": vm, "VDI": vdi, "userdevice": "0", "bootable": True, "mode": "RW", "type": "Disk", "empty": False,
         "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}},
    )  # fmt: skip

    assert await gc.plan() == {}
    assert (await gc.remove(item, named=True, data=True)).outcome == "gone"
    assert api.call("VDI.get_uuid", vdi) == item.subject


@pytest.fixture
def died_in_the_cutover(tmp_path):
    async def until_it_dies(one):
        one.guest.write(0, noise(2, 1 << 20))
        await one.begin()
        await one.sync()
        await one.power_off()
        await one.sync(final=True)
        one.source.fence(one.errand.machine_id, one.errand.mark())

    with one_migration(tmp_path, nics=[{"mac": "00:50:56:aa:00:01", "mac_type": "manual"}]) as one:
        gc = Gc(one)

        asyncio.run(until_it_dies(one))
        yield gc


async def test_what_keeps_a_source_off_goes_only_where_it_is_named_and_never_while_its_copy_runs(died_in_the_cutover):
    gc = died_in_the_cutover
    one = gc.one
    assert "ferry.fence" in gc.vm.extra_config

    plan = await gc.plan()
    assert (plan["fence"].sort, plan["mark"].sort) == ("ask", "ask")
    pool = one.pool.pool
    shell = pool.db.by_uuid("VM", one.shell.vm)
    pool.db.get("VM", shell)["power_state"] = "Running"
    refused = await gc.remove(plan["fence"], named=True)
    assert (refused.outcome, refused.code) == ("refused", "gc.target_runs")
    assert "ferry.fence" in gc.vm.extra_config
    pool.db.get("VM", shell)["power_state"] = "Halted"

    await gc.apply()
    assert {"ferry.fence", "ferry.migration"} <= ours_on(gc.vm)

    assert (await gc.remove(plan["fence"], named=True)).outcome == "removed"
    assert "ferry.fence" not in gc.vm.extra_config
    assert (await gc.plan())["mark"].sort == "leftover"
    await gc.apply()
    assert not ours_on(gc.vm)


async def test_the_fence_of_a_migration_that_was_finished_stays(died_in_the_cutover):
    gc = died_in_the_cutover
    gc.one.source.release(gc.one.errand.machine_id, gc.one.errand.migration)

    fence = (await gc.plan())["fence"]

    assert fence.sort == "keep"
    assert (await gc.remove(fence, named=True, data=True)).code == "gc.needs_yes"
    assert "ferry.fence" in gc.vm.extra_config


async def test_a_vm_that_may_have_run_is_nobodys_leftover(died_in_the_cutover):
    gc = died_in_the_cutover
    one = gc.one
    snapshot = one.target.snapshot_shell(one.shell.vm, one.errand)
    one.target.unblock(one.shell.vm, one.errand.mark())

    plan = await gc.plan()

    assert {each.kind for each in plan.values() if each.side == "target"} == {"pre-start"}
    assert (plan["pre-start"].sort, plan["pre-start"].subject) == ("data", snapshot.snapshot)
    for each in plan.values():
        await gc.remove(each, named=True)
    assert one.target.find_snapshot(one.shell.vm, one.errand)
    assert one.target.power(one.shell.vm)


async def test_a_mark_goes_only_by_itself_not_the_order_of_another(died_in_a_pass):
    """The activities of the migration itself find nothing amiss with what gc has removed."""
    gc = died_in_a_pass
    await gc.apply()

    released = ActivityEnvironment()
    await released.run(gc.one._at_source.release_source, SourceOrder(errand=gc.one.errand))
    assert json.dumps(sorted(ours_on(gc.vm))) == "[]"


@pytest.fixture
def died_in_a_test(tmp_path):
    """A test boot of it runs, and its workflow was terminated."""
    from contracts.test_boot import TestOrder

    async def until_it_dies(one):
        one.guest.write(0, noise(1, 1 << 20))
        await one.begin()
        await one.sync()
        said = TestOrder(errand=one.errand, shell=one.shell, name="web01 (ferry test)", number=1)
        one.target.make_test(said)
        one.target.start_test(said)

    with one_migration(tmp_path, nics=[{"mac": "00:50:56:aa:00:01", "mac_type": "manual"}]) as one:
        asyncio.run(until_it_dies(one))
        yield Gc(one)


TEST_KINDS = {"test-vm", "test-clone", "test-network"}


def named(api, kind, label):
    return [record for record in api.call(f"{kind}.get_all_records").values() if record["name_label"] == label]


async def test_a_test_boot_that_still_runs_goes_whole_and_nothing_else_with_it(died_in_a_test):
    gc = died_in_a_test
    api = gc.one.target._api
    plan = await gc.plan()

    assert {kind: each.sort for kind, each in plan.items() if kind in TEST_KINDS} == dict.fromkeys(
        TEST_KINDS, "leftover"
    )
    assert {plan[kind].workflow for kind in TEST_KINDS} == {"migrate/vc/web01"}
    assert {each["power_state"] for each in named(api, "VM", "web01 (ferry test)")} == {"Running"}
    originals = {disk.vdi for disk in gc.one.shell.disks}
    assert plan["test-clone"].subject not in originals
    cards = len(api.call("VIF.get_all_records"))

    assert {each.outcome for each in await gc.apply()} == {"removed"}

    assert not named(api, "VM", "web01 (ferry test)")
    assert not [each for each in api.call("network.get_all_records").values() if "ferry.test" in each["other_config"]]
    assert not [each for each in api.call("VDI.get_all_records").values() if "ferry.test" in each["other_config"]]
    assert len(api.call("VIF.get_all_records")) < cards
    left = await gc.plan()
    assert {kind: each.sort for kind, each in left.items()} == {"vdi-data": "data"}
    assert {left["vdi-data"].subject} == originals


async def test_a_test_of_a_living_migration_runs_on(died_in_a_test):
    gc = died_in_a_test
    listed = await gc.plan()
    gc.known.states[gc.one.errand.migration] = "living"

    for kind in TEST_KINDS:
        assert (await gc.remove(listed[kind], named=True, data=True)).code == "gc.owner_lives"

    assert [each["power_state"] for each in named(gc.one.target._api, "VM", "web01 (ferry test)")] == ["Running"]


async def test_what_a_person_made_of_a_test_stays(died_in_a_test):
    """A snapshot, a clone and a card of theirs inherit our mark, or hang on our network."""
    gc = died_in_a_test
    api = gc.one.target._api
    [vm] = api.call("VM.get_by_name_label", "web01 (ferry test)")
    api.call("VM.snapshot", vm, "before I try something")
    api.call("VM.hard_shutdown", vm)
    kept = api.call("VM.clone", vm, "web01, which I want to keep")
    assert api.call("VM.get_other_config", kept)["ferry.test"] == gc.one.errand.migration
    card = {**api.call("VIF.get_record", api.call("VM.get_VIFs", vm)[0]), "VM": kept, "other_config": {}}
    api.call("VIF.create", card)

    done = {each.id.split("/")[1]: each for each in await gc.apply()}

    assert done["test-vm"].outcome == done["test-clone"].outcome == "removed"
    assert (done["test-network"].outcome, done["test-network"].code) == ("refused", "gc.changed")
    assert named(api, "VM", "web01, which I want to keep")
    assert named(api, "VM", "before I try something")
    assert {each.kind for each in (await gc.plan()).values() if each.side == "target"} >= {"test-network"}
