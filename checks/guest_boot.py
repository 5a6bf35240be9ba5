"""What a guest needs to boot under Xen. Nobody can see it from outside, so these are notes."""

from collections.abc import Iterator

from checks.guest_families import has_narrow_initramfs, is_suse, is_windows, running_os
from checks.registry import NOTE, WARNING, check
from checks.seen import Seen
from contracts.machine import Firmware, Machine

DRIVERS = "xen-blkfront xen-netfront"


def initramfs_recipe(machine: Machine) -> str:
    """The commands, for every kernel that is installed and those to come (field.md rows 69, 107–110)."""
    install = "zypper install dracut" if is_suse(machine) else "dnf install dracut-config-generic dracut-network"
    # Since RHEL 9 the grub.cfg on the ESP is a stub that must stay as it is.
    old = machine.firmware is Firmware.UEFI and any(mark in running_os(machine) for mark in ("7", "8"))
    grub = "/boot/efi/EFI/DISTRO/grub.cfg" if old and not is_suse(machine) else "/boot/grub2/grub.cfg"
    return (
        f"{install}; echo 'add_drivers+=\" {DRIVERS} \"' > /etc/dracut.conf.d/xen.conf; "
        f"dracut --regenerate-all -f && grub2-mkconfig -o {grub}"
    )


@check("preflight.linux_drivers", NOTE)
def linux_drivers(seen: Seen) -> Iterator[str]:
    """Else it stops at boot with `dracut-initqueue … does not exist`."""
    if has_narrow_initramfs(seen.machine):
        yield f"its initramfs may lack the drivers of Xen; inside, before the cutover: {initramfs_recipe(seen.machine)}"


@check("preflight.windows_drivers", NOTE)
def windows_drivers(seen: Seen) -> Iterator[str]:
    """Windows boots on the emulated disk and card, slowly."""
    if is_windows(seen.machine):
        yield "it runs on emulated disks and cards until Xen's drivers are installed; all MACs are kept"


@check("preflight.uefi_loader", NOTE)
def uefi_loader(seen: Seen) -> Iterator[str]:
    """The boot entries are in the NVRAM, which is not moved (xapi.md §3.3); Windows keeps the fallback itself."""
    if seen.machine.firmware is Firmware.UEFI and not is_windows(seen.machine):
        yield r"it must have \EFI\BOOT\BOOTX64.EFI: boot entries are not moved"


@check("preflight.guest_disk_full", WARNING)
def guest_disk_full(seen: Seen) -> Iterator[str]:
    """No room for drivers, nor for a new initramfs (Forklift's limits)."""
    for volume in seen.machine.guest.volumes:
        least = _least(volume.path) << 20
        if volume.free is not None and volume.free < least < (volume.capacity or 0):
            yield f"{volume.path} has {volume.free >> 20} MiB free, less than {least >> 20} MiB"


def _least(path: str) -> int:
    """MiB."""
    if path == "/" or path.upper().startswith("C:"):
        return 100
    return 50 if path == "/boot" else 10
