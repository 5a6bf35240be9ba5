"""Large, sparse disks compared in no time: only what one of the two files has no hole for."""

import os
from pathlib import Path

from disks.extents import Extent, merged
from simulators.vsphere.tracking import GRAIN
from tests.conformance.one_migration import MIB, OneMigration


def differing(migration: OneMigration) -> list[int]:
    """Offsets (to the MiB) where the VDI's file is not what the guest sees; what lies past the guest's end is zeros."""
    pool, guest = migration.pool.pool, migration.guest
    file = pool.vdi_file(migration.pool.db.by_uuid("VDI", migration.shell.disks[0].vdi))
    with guest.lock:
        grains = guest.allocated(len(guest.links) - 1)
    there = merged([*_data_of(file), *(Extent(each * GRAIN, (each + 1) * GRAIN) for each in grains)])
    found = []
    with file.open("rb") as stored:
        for start, end in there:
            for at in range(start, end, MIB):
                length = min(MIB, end - at)
                inside = max(0, min(length, guest.capacity - at))
                wanted = (guest.read(at, inside) if inside else b"").ljust(length, b"\0")
                if os.pread(stored.fileno(), length, at).ljust(length, b"\0") != wanted:
                    found.append(at)
    return found


def _data_of(file: Path) -> list[Extent]:
    extents, at = [], 0
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        while at < size:
            try:
                start = os.lseek(opened.fileno(), at, os.SEEK_DATA)
            except OSError:  # a hole up to the end
                break
            at = os.lseek(opened.fileno(), start, os.SEEK_HOLE)
            extents.append(Extent(start, at))
    return extents
