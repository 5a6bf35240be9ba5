"""Which family of guests a machine belongs to, by what vSphere calls its OS (``vim.vm.GuestOsDescriptor``). Pure."""

import fnmatch

from contracts.machine import Machine

_DRACUT_HOSTS = (
    "rhel*", "centos*", "rockylinux*", "almalinux*", "oraclelinux*", "fedora*", "amazonlinux*", "sles*", "suse*",
    "opensuse*", "vmwarephoton*",
)  # fmt: skip
"""Their initramfs holds drivers of the machine that it was made on, and no others. Those of Debian and Ubuntu hold all
(MODULES=most), so there is nothing to say of them."""
_NO_HOME = (
    "darwin*", "vmkernel*", "netware*", "os2*", "dos*", "unixware*", "openserver*", "ecomstation*", "solaris*",
    "win31*", "win95*", "win98*", "winme*", "winnt*", "win2000*", "winxp*", "winnet*", "winlonghorn*",
    "winvista*",
)  # fmt: skip
"""Neither XCP-ng nor its tools support them (winnet is Server 2003, winlonghorn Server 2008)."""


def running_os(machine: Machine) -> str:
    """What the tools tell that runs, else what was configured; lower case."""
    return (machine.guest.os or machine.guest_os).lower()


def is_windows(machine: Machine) -> bool:
    """Whether either says so."""
    return any(each.lower().startswith("win") for each in (machine.guest.os, machine.guest_os))


def is_suse(machine: Machine) -> bool:
    """For its package manager."""
    return any(fnmatch.fnmatchcase(running_os(machine), each) for each in ("sles*", "suse*", "opensuse*"))


def has_narrow_initramfs(machine: Machine) -> bool:
    """Whether its initramfs lacks Xen's drivers unless somebody put them there."""
    return any(fnmatch.fnmatchcase(running_os(machine), each) for each in _DRACUT_HOSTS)


def has_no_home(machine: Machine) -> bool:
    """Whether XCP-ng supports no such guest."""
    return any(fnmatch.fnmatchcase(running_os(machine), each) for each in _NO_HOME)
