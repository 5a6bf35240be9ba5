"""How much of each disk is allocated, as vSphere last heard of it: good for a guess of how long a copy takes."""

from collections.abc import Sequence
from typing import Any

from pyVmomi import vim

from platforms.vsphere.properties import VM, read_some
from platforms.vsphere.session import Session


def allocated(session: Session, refs: Sequence[str]) -> dict[str, dict[int, int]]:
    """By moref: device key to bytes, snapshots included. Disks that are no files (vSAN, vVol) are left out."""
    machines = session.call("name the VMs", lambda instance: [vim.VirtualMachine(ref, instance._stub) for ref in refs])
    read = read_some(session, machines, VM, ["layoutEx"], "read the layout of the VMs")
    return {ref._moId: _sizes(told.get("layoutEx")) for ref, told in read}


def _sizes(layout: Any) -> dict[int, int]:
    files = {file.key: file for file in (layout.file or [])} if layout is not None else {}
    sizes: dict[int, int] = {}
    for disk in (layout.disk or []) if layout is not None else []:
        keys = [key for unit in disk.chain or [] for key in unit.fileKey]
        extents = [files[key].size for key in keys if key in files and files[key].type == "diskExtent"]
        if extents:
            sizes[disk.key] = int(sum(extents))
    return sizes
