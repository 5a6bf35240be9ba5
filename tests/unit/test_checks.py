"""What the checks say, and above all when they say nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from checks import Seen, run_checks
from checks.disk_order import sparse_units
from checks.guest_boot import initramfs_recipe
from checks.vmware_tools import removal_of
from contracts.machine import Firmware, Machine, Power, SourceDisk
from contracts.machine_facts import DeviceFacts, GuestFacts, GuestVolume, SettingFacts, SnapshotFacts, Tools


def machine(**more):
    disk = SourceDisk(disk_id="d", key=2000, slot="scsi0:0", capacity=1 << 30)
    said = {"power": Power.OFF, "firmware": Firmware.BIOS, "memory": 1 << 30, "disks": (disk,), **more}
    return Machine(source="vc", machine_id="m", ref="vm-1", name="web01", **said)


def at(*slots):
    return tuple(SourceDisk(disk_id=slot, key=number, slot=slot, capacity=1) for number, slot in enumerate(slots, 2000))


def codes(found, overrides=None):
    return {each.code: each.severity for each in run_checks(found, overrides)}


def test_of_what_nobody_told_nothing_is_said():
    assert codes(Seen(machine=machine())) == {}


@pytest.mark.parametrize(
    ("slots", "gaps"),
    [
        (("scsi0:0", "scsi0:1"), False),
        (("scsi0:0", "scsi0:15"), True),
        (("scsi0:1",), True),
        (tuple(f"scsi0:{unit}" for unit in range(10) if unit != 7), False),
        (("scsi0:0", "scsi1:0", "nvme0:0"), False),
        (tuple(f"sata0:{unit}" for unit in range(10) if unit != 7), True),
    ],
)
def test_a_gap_is_one_but_for_the_unit_of_the_scsi_controller_itself(slots, gaps):
    assert bool(list(sparse_units(Seen(machine=machine(disks=at(*slots)))))) is gaps


@pytest.mark.parametrize(
    ("os", "firmware", "words"),
    [
        ("rhel8_64Guest", Firmware.BIOS, ("dnf install dracut-config-generic", "/boot/grub2/grub.cfg")),
        ("rhel8_64Guest", Firmware.UEFI, ("/boot/efi/EFI/DISTRO/grub.cfg",)),
        ("rhel9_64Guest", Firmware.UEFI, ("/boot/grub2/grub.cfg",)),
        ("sles15_64Guest", Firmware.UEFI, ("zypper install dracut", "/boot/grub2/grub.cfg")),
    ],
)
def test_the_recipe_of_an_initramfs_fits_family_and_firmware(os, firmware, words):
    recipe = initramfs_recipe(machine(guest_os=os, firmware=firmware))

    assert "xen-blkfront" in recipe
    assert "--regenerate-all" in recipe
    assert all(word in recipe for word in words)


@pytest.mark.parametrize(
    ("os", "tools", "word"),
    [
        ("windows2019srv_64Guest", Tools.CURRENT, "msiexec /x"),
        ("ubuntu64Guest", Tools.UNMANAGED, "apt-get purge open-vm-tools"),
        ("rhel8_64Guest", Tools.CURRENT, "vmware-uninstall-tools.pl"),
        ("sles15_64Guest", Tools.UNMANAGED, "zypper remove"),
    ],
)
def test_the_command_that_removes_the_tools_fits_the_family(os, tools, word):
    assert word in removal_of(machine(guest_os=os, guest=GuestFacts(tools=tools)))


@pytest.mark.parametrize("policy", ["leave", "remove-before", "remove-after"])
def test_where_there_are_no_tools_no_policy_says_anything(policy):
    for tools in (Tools.NONE, Tools.UNKNOWN):
        found = Seen(machine=machine(guest_os="windows9_64Guest", guest=GuestFacts(tools=tools)), vmware_tools=policy)
        assert not any("vmware_tools" in code for code in codes(found))


def test_linux_keeps_its_tools_without_a_word():
    found = Seen(machine=machine(guest_os="ubuntu64Guest", guest=GuestFacts(tools=Tools.CURRENT)))

    assert codes(found) == {}


def test_a_snapshot_that_grows_old_changes_nothing_that_was_approved():
    taken = datetime(2026, 11, 1, tzinfo=UTC)
    snapshots = (SnapshotFacts(ref="s-1", name="before", created=taken),)
    told = [
        codes(Seen(machine=machine(snapshots=snapshots, foreign_snapshots=("before",)), at=taken + timedelta(days=age)))
        for age in (1, 30)
    ]

    approved = [{code for code, severity in each.items() if severity != "note"} for each in told]
    assert approved[0] == approved[1]
    assert "preflight.old_snapshot" in told[1]


def test_a_stop_sign_gives_way_to_a_reason_and_keeps_it():
    found = Seen(machine=machine(guest_os="windows11_64Guest", devices=DeviceFacts(tpm=True)))
    [check] = [
        each for each in run_checks(found, {"preflight.bitlocker": "suspended, key in the safe"}) if each.override
    ]

    assert codes(found)["preflight.bitlocker"] == "blocker"
    assert (check.code, check.severity, check.override) == (
        "preflight.bitlocker", "warning", "suspended, key in the safe",
    )  # fmt: skip


def test_blanks_are_no_reason():
    found = Seen(machine=machine(guest_os="windows11_64Guest", devices=DeviceFacts(tpm=True)))

    told = codes(found, {"preflight.bitlocker": "  "})
    assert (told["preflight.bitlocker"], told["preflight.no_override"]) == ("blocker", "blocker")


def test_what_would_lose_data_cannot_be_overridden():
    found = Seen(machine=machine(devices=DeviceFacts(memory_modules=("NVDIMM 1",))))

    assert codes(found, {"preflight.persistent_memory": "never mind"})["preflight.persistent_memory"] == "blocker"


def test_a_full_file_system_is_one_that_has_the_size_to_be_otherwise():
    volumes = (
        GuestVolume(path="/boot", capacity=512 << 20, free=20 << 20),
        GuestVolume(path="/boot/efi", capacity=5 << 20, free=1 << 20),
        GuestVolume(path="/srv", capacity=None, free=None),
    )
    said = [each.message for each in run_checks(Seen(machine=machine(guest=GuestFacts(volumes=volumes))))]

    assert said == ["/boot has 20 MiB free, less than 50 MiB"]


def test_a_boot_disk_matters_to_a_bios_only():
    settings = SettingFacts(boot_disk=2001)
    for firmware, told in ((Firmware.BIOS, True), (Firmware.UEFI, False)):
        found = Seen(machine=machine(disks=at("scsi0:0", "scsi0:1"), settings=settings, firmware=firmware))
        assert ("preflight.boot_disk_not_first" in codes(found)) is told
