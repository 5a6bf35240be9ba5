"""What could switch a source on by itself is overridden for it alone, before it goes off; and put back as it was."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from activities import watching
from contracts.errors import FerryError
from contracts.machine import Machine
from platforms.vsphere.source import VsphereSource
from simulators.faults import FaultRule
from simulators.vsphere.server import VsphereSimulator
from tests.conformance.one_migration import one_migration
from tests.conformance.test_vsphere_client import ERRAND, MARK, client_of, refused
from tests.conformance.vsphere_lab import WEB01, running_vcenter

CLUSTER = {"cluster": {"ha": True, "drs": True}}


def lab(folder: Path, vm: dict[str, Any] | None = None, **more: Any) -> Iterator[tuple[VsphereSimulator, Any, Machine]]:
    with running_vcenter(folder, {**WEB01, **(vm or {})}, **more) as simulator:
        source = client_of(simulator, folder)
        machine = source.machine("web01")
        source.claim(machine.machine_id, MARK)
        yield simulator, source, machine
        source.close()


@pytest.fixture
def clustered(tmp_path: Path) -> Iterator[tuple[VsphereSimulator, VsphereSource, Machine]]:
    yield from lab(tmp_path, **CLUSTER)


def test_ha_and_drs_leave_the_machine_alone_and_forget_that_they_did(clustered):
    simulator, source, machine = clustered
    clusters, moid = simulator.world.clusters, machine.ref

    journal = source.override(machine.machine_id, MARK)

    assert journal.changes == {"HA restart": "off", "DRS": "off"}
    assert clusters.ha[moid].dasSettings.restartPriority == "disabled"
    assert clusters.drs[moid].enabled is False
    assert source.override(machine.machine_id, MARK) == journal  # a second attempt keeps the way back of the first
    source.undo_overrides(machine.machine_id, MARK)
    assert (clusters.ha, clusters.drs) == ({}, {})
    source.undo_overrides(machine.machine_id, MARK)


def test_an_override_of_the_operators_own_comes_back_as_it_was(clustered):
    simulator, source, machine = clustered
    clusters, ref = simulator.world.clusters, simulator.world.vm("web01").ref
    clusters.ha[machine.ref] = vim.cluster.DasVmConfigInfo(
        key=ref, dasSettings=vim.cluster.DasVmSettings(restartPriority="high", isolationResponse="shutdown")
    )
    clusters.drs[machine.ref] = vim.cluster.DrsVmConfigInfo(key=ref, enabled=True, behavior="manual")

    source.override(machine.machine_id, MARK)

    assert clusters.ha[machine.ref].dasSettings.restartPriority == "disabled"
    source.undo_overrides(machine.machine_id, MARK)
    settings = clusters.ha[machine.ref].dasSettings
    assert (settings.restartPriority, settings.isolationResponse) == ("high", "shutdown")
    assert (clusters.drs[machine.ref].enabled, clusters.drs[machine.ref].behavior) == (True, "manual")


def test_a_bare_host_no_longer_starts_it_when_it_boots(tmp_path):
    for simulator, source, machine in lab(tmp_path, {"autostart": True}, kind="esxi"):
        listed = simulator.world.clusters.autostart

        journal = source.override(machine.machine_id, MARK)

        assert journal.changes == {"auto-start": "off"}
        assert (listed[machine.ref].startAction, listed[machine.ref].startOrder) == ("none", -1)
        source.undo_overrides(machine.machine_id, MARK)
        assert (listed[machine.ref].startAction, listed[machine.ref].startOrder) == ("powerOn", 1)


def test_what_the_account_may_not_override_stays_and_is_named(tmp_path):
    for simulator, source, machine in lab(tmp_path, privileges_missing=["Host.Inventory.EditCluster"], **CLUSTER):
        journal = source.override(machine.machine_id, MARK)

        assert journal.changes == {}
        assert [each.partition(":")[0] for each in journal.left] == ["HA restart", "DRS"]
        assert "Host.Inventory.EditCluster" in journal.left[0]
        source.undo_overrides(machine.machine_id, MARK)
        assert "ferry.overrides" not in simulator.world.vm("web01").extra_config


def test_an_attempt_that_died_after_its_note_is_gone_back_on(clustered):
    """Only the first override was made when the worker died: the note is there, and what was not changed stays."""
    simulator, source, machine = clustered
    simulator.faults.add(FaultRule("ReconfigureComputeResource_Task", action="drop", skip=1))
    with pytest.raises(FerryError):
        source.override(machine.machine_id, MARK)
    assert list(simulator.world.clusters.ha) == [machine.ref]

    source.undo_overrides(machine.machine_id, MARK)

    assert (simulator.world.clusters.ha, simulator.world.clusters.drs) == ({}, {})


def test_a_rollback_that_came_first_is_not_overridden(clustered):
    _, source, machine = clustered
    source.raise_epoch(machine.machine_id, ERRAND.mark(2))

    assert refused(source.override, machine.machine_id, MARK) == "source.stale_epoch"
    assert refused(source.undo_overrides, machine.machine_id, MARK) == "source.stale_epoch"


async def test_whoever_switches_the_source_on_in_the_final_pass_ends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "LOOK", 0.05)
    with one_migration(tmp_path, size_mib=8) as migration:
        await migration.begin()
        await migration.sync()
        await migration.power_off()
        freeze = await migration.freeze(final=True)
        migration.vcenter.faults.add(FaultRule("GET /folder", count=20, delay=0.2))
        migration.vcenter.world.vm("web01").turn_on()

        with pytest.raises(Exception, match="switched the source on") as told:
            await migration.copy(freeze)

        assert getattr(told.value, "type", "") == "vsphere.powered_on_again"


def test_a_source_that_does_not_answer_stops_nothing(clustered):
    simulator, source, machine = clustered
    source.power_off(machine.machine_id, MARK)
    cut = threading.Event()
    simulator.faults.add(FaultRule("RetrievePropertiesEx", action="drop", count=50))

    with watching.staying_off(source, machine.machine_id, cut):
        pass

    assert not cut.is_set()
