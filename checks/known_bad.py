"""Versions that are known to be bad, as data. A new entry names what is wrong and who says so."""

from collections.abc import Iterator
from dataclasses import dataclass

Version = tuple[int, ...]


@dataclass(frozen=True)
class Bad:
    """Versions from ``since`` to below ``until``, and of these the builds below ``fixed`` where it is told.

    ``builds``: only these builds. ``loses_data``: then it stops a migration, unless somebody overrides it.
    """

    since: Version
    until: Version
    what: str
    source: str
    fixed: int = 0
    builds: tuple[int, ...] = ()
    loses_data: bool = False


VSPHERE = (
    Bad((4,), (6,), "change tracking forgets writes on a disk that was grown past a multiple of 128 GiB",
        "VMware KB 2090639", loses_data=True),
    Bad((6, 0), (6, 5), "change tracking forgets what is written while a snapshot is consolidated",
        "VMware KB 2136854, mended by ESXi600-201511001", fixed=3247720, loses_data=True),
    Bad((6, 7), (6, 7, 1), "guests on a SEsparse snapshot may lose writes under bursts",
        "VMware KB 59216, mended by 6.7 U1", fixed=10302608, loses_data=True),
    Bad((7, 0, 3), (7, 0, 4), "7.0 U3, U3a and U3b were withdrawn by VMware", "VMware KB 86398, mended by 7.0 U3c",
        builds=(18644231, 18825058, 18905247)),
)  # fmt: skip
"""Of hosts: a snapshot and its change tracking are the host's work, not the vCenter's."""

XCP_NG = (
    Bad((0,), (8, 2), "it has had no fixes for years", "XCP-ng's release table: before 8.2 all is out of support"),
)  # fmt: skip
"""Of the pool's coordinator."""


def numbers(version: str) -> Version:
    """``(8, 0, 3)`` of ``8.0.3``; what is no number ends it."""
    found: list[int] = []
    for part in version.split("."):
        if not part.isdigit():
            break
        found.append(int(part))
    return tuple(found)


def blames(table: tuple[Bad, ...], version: str, build: str = "", *, loses_data: bool) -> Iterator[Bad]:
    """The entries that speak of that version. A version or build that was not told is not blamed."""
    told = numbers(version)
    for bad in table:
        if bad.loses_data is not loses_data or not told or not bad.since <= told < bad.until:
            continue
        if bad.fixed and not (build.isdigit() and int(build) < bad.fixed):
            continue
        if not bad.builds or (build.isdigit() and int(build) in bad.builds):
            yield bad
