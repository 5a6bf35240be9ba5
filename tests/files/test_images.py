"""VMs as a hypervisor keeps them, and disk images on their own."""

import subprocess

import pytest

from contracts.config import FilesConfig
from contracts.errors import FerryError
from contracts.machine import Firmware
from platforms.files.source import FilesSource
from platforms.files.vmx import machine_in
from tests.files.making import MIB, raw, vmdk
from tests.files.test_appliances import ERRAND, content
from tests.files.test_damaged import converted

VMX = """.encoding = "UTF-8"
config.version = "8"
displayName = "shop"
annotation = "ask Ann|0Athen Bob"
memsize = "4096"
numvcpus = "4"
cpuid.coresPerSocket = "2"
firmware = "efi"
uefi.secureBoot.enabled = "TRUE"
guestOS = "debian11-64"
uuid.bios = "56 4d 01 02 03 04 05 06-07 08 09 0a 0b 0c 0d 0e"
scsi0.present = "TRUE"
scsi0.virtualDev = "pvscsi"
scsi0:1.present = "TRUE"
scsi0:1.fileName = "data.vmdk"
scsi0:0.present = "TRUE"
scsi0:0.fileName = "shop.vmdk"
scsi0:2.present = "FALSE"
scsi0:2.fileName = "old.vmdk"
nvme0:0.present = "TRUE"
nvme0:0.fileName = "fast.vmdk"
ide1:0.present = "TRUE"
ide1:0.deviceType = "cdrom-image"
ide1:0.fileName = "debian.iso"
ethernet0.present = "TRUE"
ethernet0.networkName = "VM Network"
ethernet0.addressType = "generated"
ethernet0.generatedAddress = "00:0c:29:aa:bb:cc"
ethernet0.virtualDev = "vmxnet3"
ethernet1.present = "TRUE"
ethernet1.networkName = "DMZ"
ethernet1.addressType = "static"
ethernet1.address = "00:50:56:00:00:07"
"""


def at(folder):
    return FilesSource("files", FilesConfig(kind="files", folder=folder))


def test_a_configuration_file_is_a_machine_with_each_of_its_disks():
    told = machine_in(VMX.encode(), "shop.vmx")
    assert (told.name, told.description, told.cpus, told.cores_per_socket) == ("shop", "ask Ann\nthen Bob", 4, 2)
    assert (told.memory, told.firmware, told.secure_boot) == (4096 * MIB, Firmware.UEFI, True)
    assert (told.guest_os, told.bios_uuid) == ("debian11_64Guest", "564d0102-0304-0506-0708-090a0b0c0d0e")
    assert [(disk.slot, disk.file) for disk in told.disks] == [
        ("scsi0:0", "shop.vmdk"), ("scsi0:1", "data.vmdk"), ("nvme0:0", "fast.vmdk"),
    ]  # fmt: skip
    assert [(nic.network, nic.mac) for nic in told.nics] == [
        ("VM Network", "00:0c:29:aa:bb:cc"), ("DMZ", "00:50:56:00:00:07"),
    ]  # fmt: skip
    assert told.has_cdrom


def test_a_configuration_of_a_windows_host_has_its_letters():
    told = machine_in('.encoding = "windows-1252"\ndisplayName = "Müller"\nmemsize = "512"\n'.encode("cp1252"), "x.vmx")
    assert told.name == "Müller"


@pytest.mark.parametrize(
    "text", ["", "hello", 'memsize = "-1"', 'memsize = "999999999999"', "\0" * 100, "x" * (2 << 20)]
)
def test_what_is_no_configuration_is_refused(text):
    with pytest.raises(FerryError) as refused:
        machine_in(text.encode(), "x.vmx")
    assert refused.value.code in ("file.unreadable", "file.too_large")


@pytest.mark.parametrize("form", ["monolithicFlat", "twoGbMaxExtentSparse", "monolithicSparse"])
def test_a_vm_of_vmware_beside_its_disks_is_one_machine_and_its_disks_are_none(tmp_path, form):
    folder = tmp_path / "exports"
    (folder / "shop").mkdir(parents=True)
    raws = [raw(tmp_path / f"{name}.raw", 8 * MIB, seed) for seed, name in enumerate(("shop", "data", "fast"))]
    for each in raws:
        vmdk(each, folder / "shop" / f"{each.stem}.vmdk", form)
    (folder / "shop" / "shop.vmx").write_text(VMX)
    source = at(folder)
    [line] = source.machines()
    assert (line.name, line.disks, line.capacity) == ("shop", 3, 24 * MIB)
    machine = source.machine("shop")
    freeze = source.freeze(machine.machine_id, ERRAND, 1, final=True)
    for disk, file in zip(machine.disks, raws, strict=True):
        opened = source.open_disk(machine.machine_id, freeze, disk.disk_id)
        assert content(opened, disk.capacity) == file.read_bytes()
        opened.close()


@pytest.mark.parametrize(
    ("form", "name", "options"),
    [
        ("vhdx", "db.vhdx", []), ("vpc", "db.vhd", []), ("vpc", "db.vhd", ["subformat=fixed"]),
        ("qcow2", "db.qcow2", []),
        ("vdi", "db.vdi", []), ("raw", "db.img", []), ("vmdk", "db.vmdk", ["subformat=twoGbMaxExtentFlat"]),
    ],
)  # fmt: skip
def test_an_image_alone_is_a_machine_of_one_disk_with_every_byte(tmp_path, form, name, options):
    folder = tmp_path / "exports"
    folder.mkdir()
    file = raw(tmp_path / "db.raw", 16 * MIB, boots="bios")
    converted(file, folder / name, form, *options)
    source = at(folder)
    machine = source.machine("db")
    assert (machine.ref, machine.hardware_told, machine.firmware) == (name, False, Firmware.BIOS)
    freeze = source.freeze(machine.machine_id, ERRAND, 1, final=True)
    opened = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
    whole = content(opened, machine.disks[0].capacity)
    opened.close()
    assert whole[: 16 * MIB] == file.read_bytes()
    assert not any(whole[16 * MIB :])


def test_an_overlay_is_read_through_and_its_base_is_no_machine(tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    file = raw(tmp_path / "a.raw", 8 * MIB)
    converted(file, folder / "base.qcow2", "qcow2")
    words = [
        "qemu-img",
        "create",
        "-u",
        "-f",
        "qcow2",
        "-F",
        "qcow2",
        "-b",
        "base.qcow2",
        str(folder / "now.qcow2"),
        "8M",
    ]
    subprocess.run(words, check=True, capture_output=True)
    subprocess.run(["qemu-io", "-c", "write -P 7 1M 64k", str(folder / "now.qcow2")], check=True, capture_output=True)
    source = at(folder)
    assert [line.name for line in source.machines()] == ["now"]
    machine = source.machine("now")
    freeze = source.freeze(machine.machine_id, ERRAND, 1, final=True)
    opened = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
    wanted = bytearray(file.read_bytes())
    wanted[MIB : MIB + 65536] = b"\7" * 65536
    assert content(opened, 8 * MIB) == bytes(wanted)
    opened.close()
    (folder / "base.qcow2").touch()
    with pytest.raises(FerryError) as changed:
        source.check_freeze(machine.machine_id, freeze)
    assert changed.value.code == "file.changed"


def test_a_disk_of_hyper_v_with_checkpoints_is_not_taken_for_the_machine(tmp_path):
    converted(raw(tmp_path / "a.raw", 8 * MIB), tmp_path / "db.vhdx", "vhdx")
    (tmp_path / "db_1B2C.avhdx").write_bytes(b"vhdxfile")
    with pytest.raises(FerryError) as chain:
        at(tmp_path).machine("db")
    assert chain.value.code == "file.chain"


def test_a_qcow2_whose_end_is_missing_is_never_frozen(tmp_path):
    """qemu opens it, and reads zeros where its bytes were."""
    path = converted(raw(tmp_path / "a.bytes", 16 * MIB), tmp_path / "db.qcow2", "qcow2")
    source = at(tmp_path)
    machine = source.machine("db")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FerryError) as cut:
        source.freeze(machine.machine_id, ERRAND, 1, final=True)
    assert cut.value.code == "file.truncated"
