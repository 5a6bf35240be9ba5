"""Some of the templates that XCP-ng 8.3 comes with, by their real names."""

from simulators.xapi.database import Database

GIB = 1 << 30
_NAMES = (
    "Other install media",
    "Debian Bullseye 11",
    "Debian Bookworm 12",
    "Ubuntu Focal Fossa 20.04",
    "Ubuntu Jammy Jellyfish 22.04",
    "Ubuntu Noble Numbat 24.04",
    "CentOS 7",
    "Red Hat Enterprise Linux 7",
    "Red Hat Enterprise Linux 8",
    "Red Hat Enterprise Linux 9",
    "AlmaLinux 8",
    "AlmaLinux 9",
    "Rocky Linux 8",
    "Rocky Linux 9",
    "Oracle Linux 8",
    "Oracle Linux 9",
    "SUSE Linux Enterprise 15 (64-bit)",
    "Windows 10 (64-bit)",
    "Windows 11",
    "Windows Server 2016 (64-bit)",
    "Windows Server 2019 (64-bit)",
    "Windows Server 2022 (64-bit)",
)


def add_templates(db: Database) -> None:
    """Put the templates into the database."""
    for name in _NAMES:
        windows = name.startswith("Windows")
        bare = name == "Other install media"
        memory = 4 * GIB if windows else 2 * GIB
        other = {"default_template": "true", "install-methods": "cdrom", "mac_seed": "template"}
        if not bare:
            # What VM.provision would make; a migration wants none of it.
            size = str((32 if windows else 10) * GIB)
            other["disks"] = (
                f'<provision><disk device="0" size="{size}" sr="" bootable="true" type="system"/></provision>'
            )
        db.add(
            "VM", name_label=name, is_a_template=True, is_default_template=True, memory_static_max=memory,
            memory_dynamic_max=memory, memory_dynamic_min=memory, memory_static_min=1 * GIB if windows else GIB // 2,
            VCPUs_max=2 if windows else 1, VCPUs_at_startup=2 if windows else 1, actions_after_shutdown="destroy",
            actions_after_reboot="restart", actions_after_crash="restart", HVM_boot_policy="BIOS order",
            HVM_boot_params={"order": "cdn"}, domain_type="hvm", other_config=other,
            platform={
                "nx": "true", "acpi": "1", "apic": "true", "pae": "true", "hpet": "true",
                "viridian": "true" if windows else "false", "device-model": "qemu-upstream-compat",
                "timeoffset": "0", "vga": "std", "videoram": "8",
            },
            recommendations="<restrictions/>", user_version=1, has_vendor_device=windows,
        )  # fmt: skip
