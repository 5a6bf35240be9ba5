"""A bare ESXi with the free licence: its API changes nothing, so that what is off moves cold, and nothing else does."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.preflight import PreflightActivities
from contracts.errors import FerryError
from contracts.machine import OwnerMark
from contracts.steps import Preflight, PreflightOrder
from platforms.vsphere.source import VsphereSource
from simulators.faults import FaultRule
from simulators.vsphere.methods import PRIVILEGES
from simulators.vsphere.server import VsphereSimulator
from tests.conformance.one_migration import MIB, OneMigration, Verdict, _run, one_migration
from tests.conformance.test_vsphere_client import MARK, client_of
from tests.conformance.vsphere_lab import running_vcenter
from tests.conformance.xapi_target import order_for

FREE = {"kind": "esxi", "licence": "free"}
HOLDS = Verdict(equal=True, target_is_sent=True, target_is_source=True)


@pytest.fixture
def migration(tmp_path: Path) -> Iterator[OneMigration]:
    """Of a machine that is off, of a fresh file on VMFS."""
    with one_migration(tmp_path, datastore="vmfs1", power="off", host=FREE) as migration:
        chance = random.Random(6)
        for at in range(0, 8 * MIB, 2 * MIB):
            migration.guest.write(at, chance.randbytes(MIB))
        yield migration


def changes_tried(simulator: VsphereSimulator) -> set[str]:
    """Every call that the licence would refuse, refused or not."""
    return set(simulator.counted()["calls"]) & set(PRIVILEGES)


async def preflight(migration: OneMigration, /, **of: str) -> Preflight:
    errand = migration.errand.model_copy(update=of)
    found = await _run(PreflightActivities(migration.systems).preflight, PreflightOrder(errand=errand))
    assert isinstance(found, Preflight)
    return found


def codes(found: Preflight) -> dict[str, str]:
    return {check.code: check.severity for check in found.checks}


@pytest.mark.parametrize(
    ("said", "read_only"),
    [({"kind": "esxi"}, False), ({"kind": "esxi", "licence": "evaluation"}, False), (FREE, True), ({}, False)],
)
def test_a_licence_that_allows_no_change_is_seen(tmp_path, said, read_only):
    with running_vcenter(tmp_path, **said) as simulator:
        source = client_of(simulator, tmp_path)
        assert source.machine("web01").read_only is read_only
        assert ("free licence" in source.check()) is read_only
        source.close()


def test_a_key_that_lies_in_a_vcenter_is_nobodys_licence(tmp_path):
    with running_vcenter(tmp_path) as simulator:
        simulator.world.said.licence = "free"
        source = client_of(simulator, tmp_path)
        assert not source.machine("web01").read_only
        source.close()


def test_a_licence_that_is_lost_after_it_was_looked_at_is_told_by_the_first_change(tmp_path):
    with running_vcenter(tmp_path, kind="esxi", licence="evaluation") as simulator:
        source: VsphereSource = client_of(simulator, tmp_path)
        machine = source.machine("web01")
        simulator.world.said.licence = "free"
        assert not machine.read_only
        with pytest.raises(FerryError, match="prohibits execution") as refused:
            source.claim(machine.machine_id, MARK)
        assert refused.value.code == "vsphere.licence"
        source.close()


async def test_what_is_off_moves_cold_and_nothing_is_so_much_as_tried_at_the_source(migration):
    found = await preflight(migration)
    assert (codes(found), found.warm) == ({"preflight.free_licence": "warning"}, False)
    await migration.begin()
    await migration.power_off()

    report = await migration.sync(final=True)

    assert (report.complete, report.transport) == (True, "https")
    assert report.transport_reason == "https: /folder serves its base; nfc: the free licence allows no export"
    assert await migration.verdict() == HOLDS
    assert changes_tried(migration.vcenter) == set()
    assert migration.vcenter.state()["web01"]["extra_config"] == {}


async def test_on_nfs_it_is_read_from_the_export(tmp_path):
    with one_migration(tmp_path, power="off", host=FREE, mounted=True) as migration:
        migration.guest.write(MIB, b"data" * (MIB // 4))
        await migration.begin()
        report = await migration.sync(final=True)

        assert report.transport == "nfs"
        assert await migration.verdict() == HOLDS
        assert changes_tried(migration.vcenter) == set()


async def test_what_runs_is_told_and_left_alone(tmp_path):
    with one_migration(tmp_path, power="on", host=FREE) as migration:
        found = await preflight(migration)

        assert codes(found)["preflight.free_licence_running"] == "blocker"
        assert changes_tried(migration.vcenter) == set()


async def test_snapshots_stand_in_the_way(migration):
    migration.vcenter.do("web01", "snapshot", name="before the update")

    assert codes(await preflight(migration))["preflight.free_licence_snapshots"] == "blocker"


async def test_what_was_switched_on_after_the_preflight_is_not_powered_off_but_asked_about(migration):
    await migration.begin()
    migration.vcenter.do("web01", "power", state="on")

    with pytest.raises(Exception, match="was switched on") as refused:
        await migration.power_off()

    assert refused.value.type == "preflight.free_licence_running"
    assert changes_tried(migration.vcenter) == set()


async def test_a_machine_that_ran_while_it_was_copied_makes_the_pass_void_though_it_is_off_again(migration):
    await migration.begin()
    freeze = await migration.freeze(final=True)
    assert freeze.disks[0].content_id
    await migration.copy(freeze)
    migration.vcenter.do("web01", "power", state="on")
    migration.vcenter.do("web01", "write", offset=0, byte=7, length=4096)
    migration.vcenter.do("web01", "power", state="off")

    sealed = await migration.seal(freeze, complete=True)

    assert sealed.void
    assert sealed.reason.startswith("vsphere.powered_on_again")
    again = await migration.sync(final=True)
    assert again.complete
    assert await migration.verdict() == HOLDS


async def test_one_that_is_still_on_makes_the_pass_void_too(migration):
    await migration.begin()
    freeze = await migration.freeze(final=True)
    await migration.copy(freeze)
    migration.vcenter.do("web01", "power", state="on")

    assert (await migration.seal(freeze, complete=True)).reason.startswith("vsphere.powered_on_again")


async def test_a_descriptor_that_is_not_served_stops_nothing(migration):
    await migration.begin()
    migration.vcenter.faults.add(FaultRule("GET /folder", "http", object="web01.vmdk", argument=404, count=-1))

    freeze = await migration.freeze(final=True)

    assert freeze.disks[0].content_id == ""
    await migration.copy(freeze)
    assert not (await migration.seal(freeze, complete=True)).void


async def test_the_shell_is_the_mark_and_a_second_migration_to_the_pool_is_told_who_came_first(migration):
    await migration.begin()

    found = await preflight(migration, migration="second", workflow="migrate/again")
    assert codes(found)["vm.already_migrating"] == "blocker"
    [told] = [check.message for check in found.checks if check.code == "vm.already_migrating"]
    assert migration.errand.workflow in told
    assert "vm.already_migrating" not in codes(await preflight(migration)), "its own shell is no rival"
    with pytest.raises(FerryError, match=migration.errand.workflow) as refused:
        second = migration.errand.model_copy(update={"migration": "second", "workflow": "migrate/again"})
        migration.target.make_shell(order_for(migration.target, migration.machine, errand=second))
    assert refused.value.code == "vm.already_migrating"
    assert migration.target.other_owner(migration.machine.machine_id, "second") == OwnerMark(
        migration=migration.errand.migration, workflow=migration.errand.workflow
    )


async def test_two_that_come_at_once_do_not_both_go_on(migration, monkeypatch):
    second = migration.errand.model_copy(update={"migration": "second", "workflow": "migrate/again"})
    order = order_for(migration.target, migration.machine, errand=second)
    looks: list[str] = []
    look = migration.target._api.call

    def slow(method, *said, **more):
        answer = look(method, *said, **more)
        if method == "VM.get_all_records":
            looks.append(method)
            if len(looks) == 1:  # it has seen nobody; now the other one comes, whole
                migration.target.make_shell(order_for(migration.target, migration.machine, errand=migration.errand))
        return answer

    monkeypatch.setattr(migration.target._api, "call", slow)
    with pytest.raises(FerryError) as refused:
        migration.target.make_shell(order)
    assert refused.value.code == "vm.already_migrating"


async def test_what_is_done_or_undone_claims_nothing_any_more(migration):
    await migration.begin()
    await migration.sync(final=True)
    assert await migration.verdict() == HOLDS  # with its snapshot, which inherits what the shell bears
    migration.target.finish(migration.shell.vm, migration.errand)
    assert migration.target.other_owner(migration.machine.machine_id, "second") is None
    for record in migration.target._api.call("VM.get_all_records").values():
        assert "ferry.source_machine" not in record["other_config"]

    second = migration.errand.model_copy(update={"migration": "second"})
    migration.target.make_shell(order_for(migration.target, migration.machine, errand=second))
    migration.target.remove_shell(second)
    assert migration.target.other_owner(migration.machine.machine_id, "third") is None
