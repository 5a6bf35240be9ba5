"""The demo's own compare: source files against target files, with no code of the migration's."""

import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

_PIECE = 1 << 20


def disks_equal(folder: Path, *, datastore: str, vm: str) -> bool:
    """Whether every VDI's pre-start snapshot holds what the source's disk of the same place held at power-off.

    The source is off since, so its files are what they were then.

    Args:
        folder: the lab's state folder.
    """
    flats = sorted((folder / "vsphere" / datastore / vm).glob("*-flat.vmdk"))
    snapshots = snapshot_files(folder, vm)
    return (
        bool(flats)
        and len(flats) == len(snapshots)
        and all(equal(flat, snapshot) for flat, snapshot in zip(flats, snapshots, strict=True))
    )


def snapshot_files(folder: Path, vm: str) -> list[Path]:
    """The pre-start snapshots of a VM's disks in the order of its devices, from the lab's ``state.json``."""
    pool = folder / "xcpng"
    state: dict[str, Any] = json.loads((pool / "state.json").read_text())
    found = [each for each in state["vms"] if each["name"] == vm]
    if len(found) != 1:
        return []
    disks = sorted(found[0]["disks"], key=lambda disk: int(disk["userdevice"]))
    return [_placed(folder, disk["snapshot_file"]) for disk in disks if disk.get("snapshot_file")]


def _placed(folder: Path, name: str) -> Path:
    """A path of state.json: absolute, or under the state folder or the pool's."""
    return next((each for each in (folder / name, folder / "xcpng" / name) if each.exists()), folder / name)


def equal(source: Path, target: Path) -> bool:
    """Byte for byte; what the SR rounded up must be zeros."""
    if target.suffix != ".raw" or not target.exists() or target.stat().st_size < source.stat().st_size:
        return False
    with source.open("rb") as wanted, target.open("rb") as got:
        pieces = zip_longest(_pieces(wanted), _pieces(got), fillvalue=b"")
        return all(theirs == ours + bytes(len(theirs) - len(ours)) for ours, theirs in pieces)


def _pieces(file: Any) -> Any:
    return iter(lambda: file.read(_PIECE), b"")
