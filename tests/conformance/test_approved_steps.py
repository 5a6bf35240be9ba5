"""Steps that a request approved: carried out once, on what the preflight listed, while the machine is ours."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.approved_steps import ApprovedStepActivities
from contracts.approved_steps import ApprovedStep, StepDone, StepOrder
from platforms.vsphere import approved_steps
from tests.conformance.one_migration import OneMigration, Verdict, one_migration
from tests.conformance.preflight.looking import Case, look

ISO = "[nfs1] iso/debian.iso"


@pytest.fixture
def migration(tmp_path: Path) -> Iterator[OneMigration]:
    with one_migration(tmp_path, vm={"snapshots": ["one", "two", "three"], "cdrom": ISO}) as migration:
        yield migration


def claim(migration: OneMigration) -> None:
    migration.source.claim(migration.errand.machine_id, migration.errand.mark())


async def take(migration: OneMigration, step: str, **said: Any) -> StepDone:
    order = StepOrder(errand=migration.errand, step=ApprovedStep(step), **said)
    done: StepDone = await ActivityEnvironment().run(
        ApprovedStepActivities(migration.systems).take_approved_step, order
    )
    return done


def names(migration: OneMigration) -> list[str]:
    return [each.name for each in migration.vcenter.world.vm("web01").all_snapshots()]


def refs(migration: OneMigration) -> tuple[str, ...]:
    return tuple(each.ref for each in migration.source.machine("web01").snapshots)


async def test_the_snapshots_that_were_listed_go_and_those_that_came_since_stay(migration: OneMigration) -> None:
    claim(migration)
    listed = refs(migration)
    migration.vcenter.do("web01", "snapshot", name="of tonight")

    assert (await take(migration, "remove-snapshots", snapshots=listed)).done == ("one", "two", "three")
    assert names(migration) == ["of tonight"]
    assert (await take(migration, "remove-snapshots", snapshots=listed)).done == (), "a second attempt finds it done"


async def test_what_was_written_into_a_removed_snapshot_stays_in_the_disk(migration: OneMigration) -> None:
    claim(migration)
    migration.guest.write(0, b"late" * 1024)
    await take(migration, "remove-snapshots", snapshots=refs(migration))

    assert migration.guest.read(0, 4096) == b"late" * 1024


async def test_an_ejected_iso_leaves_an_empty_drive(migration: OneMigration) -> None:
    claim(migration)

    assert (await take(migration, "eject-iso")).done == (ISO,)
    machine = migration.source.machine("web01")
    assert (machine.has_cdrom, machine.mounted_iso) == (True, None)
    assert (await take(migration, "eject-iso")).done == ()


@pytest.mark.parametrize("step", list(ApprovedStep))
async def test_a_machine_that_is_not_ours_is_left_alone(migration: OneMigration, step: ApprovedStep) -> None:
    migration.vcenter.world.vm("web01").extra_config["ferry.migration"] = "another-run"

    with pytest.raises(ApplicationError) as refused:
        await take(migration, step, snapshots=refs(migration))

    assert refused.value.type == "source.stale_epoch"
    assert names(migration) == ["one", "two", "three"]
    assert migration.source.machine("web01").mounted_iso == ISO


async def test_a_drive_that_the_guest_has_locked_asks_a_human_and_goes_on_once_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approved_steps, "EJECTION", 0.5)
    with one_migration(tmp_path, vm={"cdrom": ISO, "guest": {"locks_cd": True}}) as migration:
        claim(migration)
        with pytest.raises(ApplicationError) as asked:
            await take(migration, "eject-iso")
        assert asked.value.type == "vsphere.question_pending"
        assert asked.value.non_retryable

        migration.vcenter.world.vm("web01").question = ""
        deadline = time.monotonic() + 10
        while migration.source.machine("web01").mounted_iso and time.monotonic() < deadline:
            threading.Event().wait(0.05)
        assert (await take(migration, "eject-iso")).done == ()


async def test_without_the_privilege_the_iso_stays_and_the_privilege_is_named(tmp_path: Path) -> None:
    missing = {"privileges_missing": ["VirtualMachine.Interact.SetCDMedia"]}
    with one_migration(tmp_path, vm={"cdrom": ISO}, host=missing) as migration:
        claim(migration)
        with pytest.raises(ApplicationError, match="SetCDMedia") as refused:
            await take(migration, "eject-iso")

    assert refused.value.type == "vsphere.no_permission"


async def test_a_cold_run_after_both_steps_reads_one_flat_base_and_proves_it(tmp_path: Path) -> None:
    """The seed's order for VMFS6 (field.md row 53)."""
    said = {"snapshots": ["one", "two"], "cdrom": ISO}
    with one_migration(tmp_path, datastore="vmfs1", power="off", vm=said) as migration:
        claim(migration)
        await take(migration, "remove-snapshots", snapshots=refs(migration))
        await take(migration, "eject-iso")
        await migration.begin()
        copied = await migration.sync(final=True)

        assert copied.transport == "https"
        assert await migration.verdict() == Verdict(equal=True, target_is_sent=True, target_is_source=True)


async def test_what_a_step_will_do_is_a_note_in_place_of_what_it_cures(tmp_path: Path) -> None:
    case = Case(
        "preflight.snapshots_will_go",
        vm={"cdrom": ISO, "snapshots": [str(each) for each in range(32)]},
        order={"approved_steps": ("remove-snapshots", "eject-iso")},
    )
    looked = await look(tmp_path, case)

    assert looked.codes == {"preflight.snapshots_will_go": "note", "preflight.iso_will_be_ejected": "note"}
    assert looked.changes == ()
