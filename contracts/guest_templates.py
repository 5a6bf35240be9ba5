"""Which template of XCP-ng a guest OS of vSphere is made from: a table, read from the top.

Left: the guestId of vSphere (``vim.vm.GuestOsDescriptor``), shell-style wildcards, in lower case. Right: names
of templates as XCP-ng 8.3 ships them (guest-templates-json 2.0.15), the best first. What a pool lacks is passed
over; the last resort is ``Other install media``, which fits every guest.
"""

import fnmatch
from collections.abc import Collection

OTHER = "Other install media"

_WINDOWS_10 = ("Windows 10 (64-bit)",)
_GENERIC = ("Generic Linux UEFI", "Generic Linux BIOS")

_TABLE: list[tuple[str, tuple[str, ...]]] = [
    # -- Windows; vSphere's ids lag behind the editions: windows9 is 10, windows9Server is 2016
    ("windows11*", ("Windows 11", *_WINDOWS_10)),
    ("windows12*", ("Windows 11", *_WINDOWS_10)),
    ("windows2025srv*", ("Windows Server 2025", "Windows Server 2022 (64-bit)")),
    ("windows2022srv*", ("Windows Server 2022 (64-bit)",)),
    ("windows2019srvnext*", ("Windows Server 2022 (64-bit)",)),
    ("windows2019srv*", ("Windows Server 2019 (64-bit)",)),
    ("windows9server*", ("Windows Server 2016 (64-bit)",)),
    ("windows8server*", ("Windows Server 2016 (64-bit)",)),
    ("windows7server*", ("Windows Server 2016 (64-bit)",)),
    ("windows9*", _WINDOWS_10),
    ("windows8*", _WINDOWS_10),
    ("windows7*", _WINDOWS_10),
    ("win*", ()),
    # -- Linux
    ("debian13*", ("Debian Trixie 13", "Debian Bookworm 12")),
    ("debian12*", ("Debian Bookworm 12", "Debian Bullseye 11")),
    ("debian11*", ("Debian Bullseye 11", "Debian Bookworm 12")),
    ("debian10*", ("Debian Buster 10 (deprecated)", "Debian Bullseye 11")),
    ("debian*", ("Debian Bookworm 12", "Debian Bullseye 11")),
    ("ubuntu*", ("Ubuntu Noble Numbat 24.04", "Ubuntu Jammy Jellyfish 22.04")),
    ("rhel10*", ("Red Hat Enterprise Linux 10", "Red Hat Enterprise Linux 10 (preview)", "Red Hat Enterprise Linux 9")),
    ("rhel9*", ("Red Hat Enterprise Linux 9",)),
    ("rhel8*", ("Red Hat Enterprise Linux 8",)),
    ("rhel7*", ("Red Hat Enterprise Linux 7 (deprecated)", "Red Hat Enterprise Linux 7", "Red Hat Enterprise Linux 8")),
    ("rockylinux*", ("Rocky Linux 9", "Rocky Linux 8")),
    ("almalinux*", ("AlmaLinux 9", "AlmaLinux 8")),
    ("centos9*", ("CentOS Stream 9",)),
    ("centos8*", ("CentOS Stream 8", "CentOS Stream 9")),
    ("centos7*", ("CentOS 7 (deprecated)", "CentOS 7", "CentOS Stream 8")),
    ("oraclelinux10*", ("Oracle Linux 10", "Oracle Linux 9")),
    ("oraclelinux9*", ("Oracle Linux 9",)),
    ("oraclelinux8*", ("Oracle Linux 8",)),
    ("oraclelinux7*", ("Oracle Linux 7 (deprecated)", "Oracle Linux 7", "Oracle Linux 8")),
    ("sles16*", ("SUSE Linux Enterprise 15 (64-bit)",)),
    ("sles15*", ("SUSE Linux Enterprise 15 (64-bit)",)),
    ("sles12*", ("SUSE Linux Enterprise Server 12 SP5 (64-bit)", "SUSE Linux Enterprise Server 12 SP2 (64-bit)")),
    ("*linux*", _GENERIC),
    ("centos*", _GENERIC),
    ("rhel*", _GENERIC),
    ("sles*", _GENERIC),
    ("opensuse*", _GENERIC),
    ("fedora*", _GENERIC),
    ("vmwarephoton*", _GENERIC),
    ("coreos*", _GENERIC),
    ("amazonlinux*", _GENERIC),
]


def template_table() -> list[tuple[str, tuple[str, ...]]]:
    """Patterns of guest OS ids, and for each the names of templates in order of preference."""
    return [(pattern, (*names, OTHER)) for pattern, names in [*_TABLE, ("*", ())]]


def candidates(guest_os: str) -> tuple[str, ...]:
    """Names of templates for a guestId, the best first; the last is always ``Other install media``."""
    wanted = guest_os.lower()
    return next(names for pattern, names in template_table() if fnmatch.fnmatchcase(wanted, pattern))


def choose_template(guest_os: str, available: Collection[str]) -> str:
    """The best of the templates that there are; empty when not even the last resort is there."""
    return next((name for name in candidates(guest_os) if name in available), "")
