"""Our vSphere client against vcsim, govmomi's simulator: a second vSphere, written by other people.

It knows login, inventory, snapshots, configuration and power; no change tracking, no frozen disks, no locks
(``tools/vcsim``): for those the lab stands alone.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from contracts.config import SourceConfig
from contracts.errors import FerryError
from contracts.machine import Firmware, Machine, OwnerMark, Power
from platforms.vsphere import snapshots
from platforms.vsphere.located import by_anything
from platforms.vsphere.source import VsphereSource
from starter.go_tools import build_with_go
from tests.conftest import not_tested

PASSWORD = "correct horse"
MARK = OwnerMark(migration="m-1", workflow="migrate/vc/web01", epoch=1)


@dataclass(frozen=True)
class Vcsim:
    """Where it is, and by what it is known."""

    url: str
    tls_sha256: str
    certificate: str

    def config(self, **more: object) -> SourceConfig:
        told = {"url": self.url, "username": "ferry", "password": "env:VCSIM_TEST", "tls_sha256": [self.tls_sha256]}
        return SourceConfig.model_validate({**told, **more})


@pytest.fixture(scope="session")
def vcsim_program() -> Path:
    """Built from the pinned module. Without Go the test is skipped loudly; in CI that is a failure."""
    if shutil.which("go") and (built := build_with_go("vcsim", takes="half a minute")):
        return built
    not_tested("vcsim could not be built (it takes Go): the client is NOT tested against a second vSphere")


@contextmanager
def running(program: Path, *arguments: str) -> Iterator[Vcsim]:
    """One that serves until the end of the block; it ends with its stdin."""
    environment = {**os.environ, "VCSIM_USERNAME": "ferry", "VCSIM_PASSWORD": PASSWORD}
    with subprocess.Popen(
        [program, *arguments], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Vcsim(**json.loads(process.stdout.readline()))
        process.terminate()


@pytest.fixture(scope="module", params=[(), ("-esx",)], ids=["vcenter", "esxi"])
def vcsim(request: pytest.FixtureRequest, vcsim_program: Path) -> Iterator[Vcsim]:
    with running(vcsim_program, *request.param) as served:
        yield served


@pytest.fixture
def source(vcsim: Vcsim, monkeypatch: pytest.MonkeyPatch) -> Iterator[VsphereSource]:
    monkeypatch.setenv("VCSIM_TEST", PASSWORD)
    source = VsphereSource("vcsim", vcsim.config())
    yield source
    source.close()


@pytest.fixture
def machine(source: VsphereSource) -> Machine:
    return source.machine(source.machines()[0].name)


def test_it_logs_in_by_pin_and_tells_the_product(source: VsphereSource) -> None:
    assert source.check().startswith(("VMware vCenter Server 6.5.0", "VMware ESXi 6.5.0"))


def test_it_logs_in_by_a_ca_file(vcsim: Vcsim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCSIM_TEST", PASSWORD)
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(vcsim.certificate)

    source = VsphereSource("vcsim", vcsim.config(tls_sha256=[], ca_file=str(ca_file)))

    assert source.check()
    source.close()


def test_a_wrong_pin_is_refused_before_the_password_is_sent(vcsim: Vcsim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCSIM_TEST", PASSWORD)

    with pytest.raises(FerryError) as told:
        VsphereSource("vcsim", vcsim.config(tls_sha256=["00" * 32])).check()

    assert told.value.code == "vsphere.certificate"


def test_a_wrong_password_is_refused(vcsim: Vcsim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCSIM_TEST", "wrong")

    with pytest.raises(FerryError) as told:
        VsphereSource("vcsim", vcsim.config()).check()

    assert told.value.code == "vsphere.login_refused"
    assert "wrong" not in told.value.message


def test_the_inventory_has_two_machines(source: VsphereSource) -> None:
    listed = source.machines()

    assert len(listed) == 2
    assert [each.name for each in listed] == sorted(each.name for each in listed)
    assert all(each.disks == 1 and each.capacity == 10 << 30 and each.power is Power.ON for each in listed)


def test_a_machine_is_read_whole_by_name_id_and_moref(source: VsphereSource, machine: Machine) -> None:
    assert source.machine(machine.machine_id) == machine
    assert source.machine(machine.ref) == machine
    [disk], [nic] = machine.disks, machine.nics
    assert (disk.slot, disk.capacity, disk.obstacle) == ("scsi0:0", 10 << 30, None)
    assert disk.file == f"[LocalDS_0] {machine.name}/disk1.vmdk"
    assert nic.mac.startswith("00:0c:29")
    assert nic.network in ("DC0_DVPG0", "VM Network")
    assert (machine.cpus, machine.memory, machine.firmware) == (1, 32 << 20, Firmware.BIOS)


def test_a_machine_that_is_not_there_is_unknown(source: VsphereSource) -> None:
    with pytest.raises(FerryError) as told:
        source.machine("nobody")

    assert told.value.code == "vm.unknown"


def test_a_snapshot_of_ours_is_taken_seen_and_removed(source: VsphereSource, machine: Machine) -> None:
    vm = by_anything(source.session, machine.name)

    snapshots.take_snapshot(source.session, vm, MARK.migration, 1)
    taken = source.machine(machine.name)
    source.thaw(machine.machine_id, MARK.migration)
    thawed = source.machine(machine.name)

    assert taken.our_snapshots == (snapshots.snapshot_name(MARK.migration, 1),)
    assert taken.foreign_snapshots == ()
    assert thawed.our_snapshots == ()


def test_the_snapshot_of_another_is_seen_and_left_alone(source: VsphereSource, machine: Machine) -> None:
    vm = by_anything(source.session, machine.name)
    snapshots.take_snapshot(source.session, vm, "another", 1)

    source.thaw(machine.machine_id, MARK.migration)

    assert source.machine(machine.name).our_snapshots == (snapshots.snapshot_name("another", 1),)
    source.thaw(machine.machine_id, "another")
    assert source.machine(machine.name).our_snapshots == ()


def test_power_goes_off_and_on_and_twice_is_no_error(source: VsphereSource, machine: Machine) -> None:
    source.claim(machine.machine_id, MARK)

    for _ in range(2):
        source.power_off(machine.machine_id, MARK)
        assert source.power(machine.machine_id) is Power.OFF
    for _ in range(2):
        source.power_on(machine.machine_id, MARK)
        assert source.power(machine.machine_id) is Power.ON

    source.release(machine.machine_id, MARK.migration)


def test_the_owner_mark_keeps_others_out_until_it_is_released(source: VsphereSource, machine: Machine) -> None:
    source.claim(machine.machine_id, MARK)
    source.claim(machine.machine_id, MARK)
    other = OwnerMark(migration="m-2", workflow="migrate/vc/web01", epoch=1)

    with pytest.raises(FerryError) as told:
        source.claim(machine.machine_id, other)
    assert told.value.code == "vm.already_migrating"

    source.release(machine.machine_id, MARK.migration)
    source.claim(machine.machine_id, other)
    source.release(machine.machine_id, other.migration)
    assert source.machine(machine.name).owner is None


def test_a_lower_epoch_switches_nothing_off(source: VsphereSource, machine: Machine) -> None:
    source.claim(machine.machine_id, MARK)
    source.raise_epoch(machine.machine_id, MARK.model_copy(update={"epoch": 2}))

    with pytest.raises(FerryError) as told:
        source.power_off(machine.machine_id, MARK)

    assert told.value.code == "source.stale_epoch"
    assert source.power(machine.machine_id) is Power.ON
    source.release(machine.machine_id, MARK.migration)


def test_an_off_machine_is_fenced_and_given_back(source: VsphereSource, machine: Machine) -> None:
    source.claim(machine.machine_id, MARK)
    source.power_off(machine.machine_id, MARK)

    journal = source.fence(machine.machine_id, MARK)
    fenced = source.machine(machine.name)
    source.unfence(machine.machine_id, journal, MARK)

    assert [nic.connected_at_start for nic in fenced.nics] == [False]
    assert source.machine(machine.name).nics == machine.nics
    source.power_on(machine.machine_id, MARK)
    source.release(machine.machine_id, MARK.migration)


def test_change_tracking_without_change_ids_is_not_believed(source: VsphereSource, machine: Machine) -> None:
    """vcsim flips the flag and gives no change id: to go on would be to copy nothing."""
    with pytest.raises(FerryError) as told:
        source.change_tracking_on(machine.machine_id)

    assert "change id" in told.value.message
    source.thaw(machine.machine_id, MARK.migration)


def test_tags_are_read_by_rest(source: VsphereSource, machine: Machine, vcsim: Vcsim) -> None:
    """Only a vCenter has them."""
    if source.check().startswith("VMware ESXi"):
        assert (machine.tags, machine.tags_unread) == ((), "")
        return
    assert (machine.tags, machine.tags_unread) == ((), "")
    rest = f"{vcsim.url.removesuffix('/sdk')}/rest/com/vmware/cis"
    with httpx.Client(verify=source.session.context()) as door:
        token = door.post(f"{rest}/session", auth=("ferry", PASSWORD)).json()["value"]
        door.headers["vmware-api-session-id"] = token

        def made(kind: str, **spec: object) -> str:
            answer = door.post(f"{rest}/tagging/{kind}", json={"create_spec": spec}).raise_for_status()
            return str(answer.json()["value"])

        category = made("category", name="stage", description="", cardinality="MULTIPLE", associable_types=[])
        for name in ("shop", "prod"):
            tag = made("tag", name=name, description="", category_id=category)
            door.post(
                f"{rest}/tagging/tag-association/id:{tag}?~action=attach",
                json={"object_id": {"type": "VirtualMachine", "id": machine.ref}},
            ).raise_for_status()

    assert source.machine(machine.name).tags == ("prod", "shop")
    assert source.groups([machine.ref], tags=True)[machine.ref].tags == ("prod", "shop")


def test_folders_and_what_is_allocated_are_read_of_many(source: VsphereSource, machine: Machine) -> None:
    refs = [each.ref for each in source.machines()]

    groups, sizes = source.groups(refs, tags=True), source.allocated(refs)

    assert set(groups) == set(refs)
    assert groups[machine.ref].folder == "", "it is in the datacenter's own folder"
    assert all(size >= 0 for each in sizes.values() for size in each.values())
