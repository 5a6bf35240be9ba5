"""A source that is migrated: renamed, annotated, and removed only by a yes that names it (SAFETY 22)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.retiring import RetiringActivities
from activities.systems import Systems
from contracts.after import RemoveOrder, RetireOrder
from contracts.errors import FerryError
from contracts.machine import Machine
from contracts.steps import SourceOrder
from disks.folder_store import FolderStore
from platforms.vsphere.retiring import LONGEST_NAME
from platforms.vsphere.source import VsphereSource
from simulators.vsphere.server import VsphereSimulator
from tests.conformance.test_vsphere_client import ERRAND, MARK, client_of, refused
from tests.conformance.vsphere_lab import WEB01, running_vcenter

DB01 = {**WEB01, "name": "web01-migrated-20261125", "nics": [{"mac": "00:50:56:aa:00:09"}]}


class Retiring:
    """A source whose migration is at its end."""

    def __init__(self, vcenter: VsphereSimulator, source: VsphereSource) -> None:
        self.vcenter, self.source = vcenter, source
        self.machine: Machine = source.machine("web01")
        self.id = self.machine.machine_id
        self.errand = ERRAND.model_copy(update={"machine_id": self.id})
        source.claim(self.id, MARK)
        source.power_off(self.id, MARK)
        source.fence(self.id, MARK)

    def order(self, **more: Any) -> RetireOrder:
        said = {"errand": self.errand, "suffix": "-migrated-20261209", "annotation": "Migrated by Ferry."}
        return RetireOrder.model_validate({**said, **more})

    def retire(self, **more: Any) -> str:
        return self.source.retire(self.id, self.order(**more)).name

    def release(self) -> None:
        self.source.release(self.id, ERRAND.migration)

    def removal(self, **more: Any) -> RemoveOrder:
        disks = tuple(disk.disk_id for disk in self.machine.disks)
        said = {"errand": self.errand, "confirmed": self.id, "target_vm": "vm", "disk_ids": disks}
        return RemoveOrder.model_validate({**said, **more})

    def against(self, **more: Any) -> str:
        with pytest.raises(FerryError) as told:
            self.source.remove(self.id, self.removal(**more))
        assert told.value.code == "retire.refused"
        return told.value.message

    @property
    def there(self) -> bool:
        return any(each.instance_uuid == self.id for each in self.vcenter.world.machines.values())


@pytest.fixture
def retiring(tmp_path: Path) -> Iterator[Retiring]:
    with running_vcenter(tmp_path, WEB01, DB01, speed=20) as vcenter:
        source = client_of(vcenter, tmp_path)
        yield Retiring(vcenter, source)
        source.close()


def test_it_is_renamed_and_annotated_above_what_its_note_said(retiring):
    lab = retiring.vcenter.world.vm("web01")
    lab.annotation = "the shop's front"

    assert retiring.retire() == "web01-migrated-20261209"

    assert lab.name == "web01-migrated-20261209"
    assert lab.annotation == "Migrated by Ferry.\n\nthe shop's front"
    assert lab.extra_config["ferry.migrated"] == ERRAND.migration
    assert retiring.source.machine(retiring.id).disks == retiring.machine.disks, "its files are where they were"


def test_it_is_done_once_however_often_it_is_ordered(retiring):
    for _ in range(3):
        assert retiring.retire() == "web01-migrated-20261209"

    assert retiring.vcenter.world.vm("web01-migrated-20261209").annotation.count("Migrated by Ferry.") == 1


def test_a_name_that_is_taken_gets_the_migrations_id(retiring):
    assert retiring.retire(suffix="-migrated-20261125") == f"web01-migrated-20261125-{ERRAND.migration[:8]}"


def test_a_long_name_is_cut_and_not_its_end(retiring):
    retiring.vcenter.world.vm("web01").name = "w" * LONGEST_NAME

    assert retiring.retire() == "w" * (LONGEST_NAME - 18) + "-migrated-20261209"


def test_one_that_runs_again_is_not_retired(retiring):
    retiring.source.power_on(retiring.id, MARK)

    assert refused(retiring.retire) == "vsphere.powered_on_again"


def test_one_that_a_rollback_has_overtaken_is_not_retired(retiring):
    retiring.source.raise_epoch(retiring.id, ERRAND.mark(4))

    assert refused(retiring.retire) == "source.stale_epoch"
    assert retiring.vcenter.world.vm("web01").annotation == ""


@pytest.mark.parametrize("privilege", ["Rename", "Annotation"])
def test_a_privilege_that_is_missing_is_named_and_nothing_is_half_done(retiring, privilege):
    retiring.vcenter.said.privileges_missing.append(f"VirtualMachine.Config.{privilege}")

    with pytest.raises(FerryError, match=privilege) as told:
        retiring.retire()

    assert told.value.code == "vsphere.no_permission"
    lab = retiring.vcenter.world.vm("web01")
    assert (lab.annotation, lab.extra_config.get("ferry.migrated")) == ("", None)


@pytest.mark.parametrize("by", ["name", "instanceUuid"])
def test_what_is_retired_off_and_fenced_is_removed_by_its_name_typed_again(retiring, by):
    name = retiring.retire()
    retiring.release()

    retiring.source.remove(retiring.id, retiring.removal(confirmed=name if by == "name" else retiring.id))

    assert not retiring.there
    assert [each.name for each in retiring.vcenter.world.machines.values()] == ["web01-migrated-20261125"]
    assert refused(retiring.source.remove, retiring.id, retiring.removal()) == "vm.gone"


def test_what_was_never_retired_is_not_removed(retiring):
    assert "does not bear the mark" in retiring.against()
    assert retiring.there


def test_another_name_than_its_own_removes_nothing(retiring):
    retiring.retire()

    assert "neither its name nor its instanceUuid" in retiring.against(confirmed="web01")
    assert retiring.there


def test_the_word_of_another_migration_removes_nothing(retiring):
    retiring.retire()
    other = retiring.errand.model_copy(update={"migration": "another"})

    told = retiring.against(errand=other)

    assert "does not bear the mark" in told
    assert "it belongs to migrate/vc/web01" in told


def test_one_that_was_put_to_use_again_is_not_removed(retiring):
    retiring.retire()
    retiring.source.power_on(retiring.id, MARK)
    assert "it is not off" in retiring.against()
    retiring.source.power_off(retiring.id, MARK)
    retiring.vcenter.world.vm("web01-migrated-20261209").start_connected[4000] = True
    assert "it is not fenced" in retiring.against()
    assert retiring.there


def test_one_with_snapshots_or_other_disks_is_not_removed(retiring):
    retiring.retire()
    assert "its disks are not those" in retiring.against(disk_ids=("2000-other-scsi0:0",))
    retiring.vcenter.world.vm("web01-migrated-20261209").take_snapshot("before", "somebody's")
    assert "it has snapshots" in retiring.against()
    assert retiring.there


def test_removing_takes_the_privilege_for_it(retiring):
    retiring.retire()
    retiring.vcenter.said.privileges_missing.append("VirtualMachine.Inventory.Delete")

    assert refused(retiring.source.remove, retiring.id, retiring.removal()) == "vsphere.no_permission"
    assert retiring.there


async def test_a_source_that_was_switched_on_is_told(retiring, tmp_path):
    steps = RetiringActivities(Systems({"vc": retiring.source}, {}, FolderStore(tmp_path / "store")))
    order = SourceOrder(errand=retiring.errand)
    await ActivityEnvironment().run(steps.see_source_off, order)
    retiring.source.power_on(retiring.id, MARK)

    with pytest.raises(ApplicationError) as told:
        await ActivityEnvironment().run(steps.see_source_off, order)

    assert told.value.type == "source.runs_again"
