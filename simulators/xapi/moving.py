"""VDI.pool_migrate: a disk of a VM goes to another SR of the pool, and gets another uuid there.

A VDI that no VM has is refused (VDI_NEEDS_VM_FOR_MIGRATE, xapi.md §3.5). Only of VMs that run: others are left out.
"""

import uuid
from typing import TYPE_CHECKING

from simulators.xapi.class_vdi import copy_sparse, used_of
from simulators.xapi.failure import XapiFailure
from simulators.xapi.pool import message

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool


@message("VDI.pool_migrate")
def pool_migrate(pool: "Pool", session: str, vdi: str, sr: str, options: dict[str, str]) -> str:
    record, there = pool.db.get("VDI", vdi), pool.db.get("SR", sr)
    running = [
        vbd
        for vbd in pool.vbds_of_vdi(vdi).values()
        if vbd["currently_attached"] and pool.db.get("VM", vbd["VM"])["power_state"] == "Running"
    ]
    if not running:
        raise XapiFailure("VDI_NEEDS_VM_FOR_MIGRATE", vdi)
    if used_of(pool, sr) + pool.vdi_file(vdi).stat().st_blocks * 512 > there["physical_size"]:
        raise XapiFailure("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")
    here = pool.db.get("SR", record["SR"])
    old = pool.vdi_file(vdi)
    ref = pool.db.add("VDI", **{**record, "uuid": str(uuid.uuid4()), "SR": sr, "snapshots": []})
    copy_sparse(old, pool.vdi_file(ref))
    old.unlink()
    for vbd in pool.vbds_of_vdi(vdi).values():
        vbd["VDI"] = ref
    here["VDIs"].remove(vdi)
    there["VDIs"].append(ref)
    pool.chains.gone(vdi)
    pool.db.remove("VDI", vdi)
    return ref
