"""Whether the NFS exports that ferry.toml names hold a machine's files, as seen from this worker. Only looks."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import FerryError
from platforms.reaching import reach
from platforms.vsphere.transports.nfs import export_of, open_nfs, spelled_as
from platforms.vsphere.transports.nfs3 import Export, NfsError


@dataclass(frozen=True)
class ExportSeen:
    """``trouble`` None: it was not looked at."""

    where: str
    key: str
    trouble: str | None = None
    writable: bool | None = None


def flat_of(file: str) -> str:
    """``[nfs1] web01/web01-flat.vmdk`` of a disk's descriptor; empty for a delta, whose base only a freeze tells."""
    stem = file.removesuffix(".vmdk")
    if stem == file or (stem[-7:-6] == "-" and stem[-6:].isdigit()):
        return ""
    return f"{stem}-flat.vmdk"


def look(exports: Mapping[str, str], datastore: str, file: str, capacity: int) -> ExportSeen | None:
    """None where ferry.toml says nothing of that datastore. May take long on a mount whose server is silent."""
    where = export_of(exports, datastore)
    if where is None:
        return None
    flat, key = flat_of(file), spelled_as(exports, datastore)
    mounted = not where.startswith("nfs://")
    writable = None
    if mounted:
        try:
            writable = not os.statvfs(where).f_flag & os.ST_RDONLY
        except OSError as error:
            return ExportSeen(where, key, error.strerror or type(error).__name__)
    if not flat:
        return ExportSeen(where, key, None, writable)
    try:
        open_nfs(where, flat, capacity).close()
    except FerryError as error:
        return ExportSeen(where, key, error.message.removeprefix(f"{where}: "), writable)
    return ExportSeen(where, key, "", writable)


def seen_at_all(exports: Mapping[str, str], datastore: str) -> ExportSeen | None:
    """The same without a machine: whether the export is there. An ``nfs://`` is dialled at NFS's port only."""
    where = export_of(exports, datastore)
    if where is None:
        return None
    key = spelled_as(exports, datastore)
    if where.startswith("nfs://"):
        try:
            export = Export.parse(where)
        except NfsError as error:
            return ExportSeen(where, key, str(error))
        dial = (export.host, export.nfs_port or 2049)
        return ExportSeen(where, key, reach([dial])[dial])
    try:
        next(Path(where).iterdir(), None)
        return ExportSeen(where, key, "", not os.statvfs(where).f_flag & os.ST_RDONLY)
    except OSError as error:
        return ExportSeen(where, key, error.strerror or type(error).__name__)
