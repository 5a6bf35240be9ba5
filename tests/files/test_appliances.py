"""Appliances of both dialects are read where they lie, disks and all."""

import subprocess
import uuid

import pytest

from contracts.config import FilesConfig
from contracts.errors import FerryError
from contracts.machine import Firmware, Power
from contracts.retirement import RetireReport
from contracts.steps import Errand
from platforms.files.ovf import machines_in
from platforms.files.source import FilesSource
from starter.commands.retiring import become
from tests.files.making import MIB, appliance, head, ova, raw, vmdk, vmware

ERRAND = Errand(migration="m", workflow="w", source="files", target="pool", vm="web01")


def at(folder):
    return FilesSource("files", FilesConfig(kind="files", folder=folder))


def content(disk, size):
    whole = memoryview(bytearray(size))
    for offset in range(0, size, MIB):
        disk.read_into(offset, whole[offset : offset + MIB])
    return bytes(whole)


def test_what_vmware_wrote_is_a_machine_with_all_that_it_says(tmp_path):
    appliance(tmp_path / "exports", "web01", count=3, macs=("00:50:56:aa:00:01", "00:50:56:aa:00:02"))
    [line] = at(tmp_path / "exports").machines()
    machine = at(tmp_path / "exports").machine("web01")
    assert (line.name, line.disks, line.capacity) == ("web01", 3, 51 * MIB)
    assert (machine.name, machine.description, machine.power) == ("web01", "the shop", Power.OFF)
    assert (machine.cpus, machine.cores_per_socket, machine.memory) == (2, 2, 2048 * MIB)
    assert (machine.firmware, machine.firmware_on_disk) == (Firmware.UEFI, "uefi")
    assert (machine.guest_os, machine.guest_name) == ("debian11_64Guest", "Debian GNU/Linux 11 (64-bit)")
    assert [nic.mac for nic in machine.nics] == ["00:50:56:aa:00:01", "00:50:56:aa:00:02"]
    assert [(disk.slot, disk.capacity) for disk in machine.disks] == [
        ("scsi0:0", 16 * MIB), ("scsi0:1", 17 * MIB), ("scsi0:2", 18 * MIB),
    ]  # fmt: skip
    assert machine.read_only
    assert machine.in_files


@pytest.mark.parametrize(("efi", "firmware"), [(True, Firmware.UEFI), (False, Firmware.BIOS)])
def test_what_virtualbox_wrote_has_its_macs_and_firmware_from_its_own_part(tmp_path, efi, firmware):
    appliance(tmp_path / "x", "web01", "virtualbox", efi=efi, macs=("080027AABBCC", "080027aabbcd"))
    machine = at(tmp_path / "x").machine("web01.ova")
    assert machine.firmware is firmware
    assert [nic.mac for nic in machine.nics] == ["08:00:27:aa:bb:cc", "08:00:27:aa:bb:cd"]
    assert (machine.memory, machine.guest_os) == (512 * MIB, "Debian_64")
    assert machine.disks[0].slot == "sata0:0"


def test_every_byte_of_a_disk_is_read_out_of_the_archive(tmp_path):
    _, raws = appliance(tmp_path / "x", "web01", count=2)
    source = at(tmp_path / "x")
    machine = source.machine("web01")
    freeze = source.freeze(machine.machine_id, ERRAND, 1, final=True)
    for disk, file in zip(machine.disks, raws, strict=True):
        opened = source.open_disk(machine.machine_id, freeze, disk.disk_id)
        assert content(opened, disk.capacity) == file.read_bytes()
        told = opened.allocated()
        assert 0 < sum(each.length for each in told) < disk.capacity, "holes are told"
        opened.close()
    source.check_freeze(machine.machine_id, freeze)


def test_an_ovf_beside_its_disks_and_a_disk_without_a_word_on_firmware(tmp_path):
    folder = tmp_path / "x"
    (folder / "web").mkdir(parents=True)
    disk = vmdk(raw(tmp_path / "a.raw", 8 * MIB, boots="bios"), folder / "web" / "a.vmdk", "monolithicSparse")
    (folder / "web" / "web.ovf").write_text(vmware([("a.vmdk", disk.stat().st_size, 8 * MIB)], firmware=""))
    machine = at(folder).machine("web/web.ovf")
    assert (machine.firmware, machine.firmware_told, machine.firmware_on_disk) == (Firmware.BIOS, False, "bios")


@pytest.mark.parametrize(
    ("boots", "firmware"), [("bios", Firmware.BIOS), ("uefi", Firmware.UEFI), ("both", None), ("nothing", None)]
)
def test_a_disk_tells_what_boots_it(boots, firmware):
    from platforms.files.partitions import boots_by

    assert boots_by(head(boots)) is firmware
    assert boots_by(head(boots)[:-1]) is None


def test_the_same_file_is_the_same_machine_and_one_that_was_written_to_voids_its_freeze(tmp_path):
    path, _ = appliance(tmp_path / "x", "web01")
    one, other = at(tmp_path / "x").machine("web01"), at(tmp_path / "x").machine("web01")
    assert one.machine_id == other.machine_id == str(uuid.UUID(one.machine_id))
    elsewhere = FilesSource("other", FilesConfig(kind="files", folder=tmp_path / "x")).machine("web01")
    assert elsewhere.machine_id != one.machine_id, "a file of that name in another source is another machine"
    source = at(tmp_path / "x")
    freeze = source.freeze(one.machine_id, ERRAND, 1, final=True)
    path.touch()
    with pytest.raises(FerryError) as changed:
        source.check_freeze(one.machine_id, freeze)
    assert changed.value.code == "file.changed"
    path.unlink()
    with pytest.raises(FerryError) as gone:
        source.power(one.machine_id) and source.freeze(one.machine_id, ERRAND, 1, final=True)
    assert gone.value.code == "vm.gone"


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
def test_digests_are_held_against_the_files(tmp_path, algorithm):
    folder = tmp_path / "x"
    folder.mkdir()
    disk = vmdk(raw(tmp_path / "a.raw", 8 * MIB), tmp_path / "a.vmdk")
    text = vmware([("a.vmdk", disk.stat().st_size, 8 * MIB)], firmware="")
    path = ova(folder / "web01.ova", text, [disk], digests=algorithm)
    source = at(folder)
    machine = source.machine("web01")
    assert source.freeze(machine.machine_id, ERRAND, 1, final=True).disks
    damaged = bytearray(path.read_bytes())
    damaged[-disk.stat().st_size // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(FerryError) as wrong:
        source.freeze(machine.machine_id, ERRAND, 1, final=True)
    assert wrong.value.code == "file.digest"


def test_qemu_img_agrees(tmp_path):
    """The judge: what we read of an archive is what qemu-img converts of its member."""
    _, [file] = appliance(tmp_path / "x", "web01")
    out = tmp_path / "out.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(file.with_suffix(".vmdk")), str(out)], check=True)
    assert out.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(("units", "size"), [("byte * 2^30", 8 << 30), ("byte * 10^9", 8 * 10**9), ("KB", 8 << 10)])
def test_capacities_in_other_units(units, size):
    told = vmware([("a.vmdk", 5, 8 * MIB)]).replace('capacityAllocationUnits="byte * 2^20"',
                                                    f'capacityAllocationUnits="{units}"')  # fmt: skip
    assert machines_in(told.encode(), "a.ovf")[0].disks[0].capacity == size


def test_a_disk_that_is_called_a_storage_extent_is_not_left_out():
    told = vmware([("a.vmdk", 5, 8 * MIB)]).replace("ResourceType>17<", "ResourceType>31<")
    assert [disk.file for disk in machines_in(told.encode(), "a.ovf")[0].disks] == ["a.vmdk"]


@pytest.mark.parametrize(
    ("outcome", "name", "words"),
    [("renamed", "web02", "is called web02 now"), ("renamed", "", "stays as it is: it can only be read"),
     ("removed", "", "is removed for good")],
)  # fmt: skip
def test_a_retired_machine_in_files_has_no_new_name_to_tell(outcome, name, words):
    report = RetireReport(vm="web01", migration="m", outcome=outcome, name=name)
    assert become(report) == words
