"""What lies about in the pool: for whoever must know that a migration left nothing behind."""

from typing import TYPE_CHECKING, Any

from simulators.xapi.database import is_null

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool


def lying_about(pool: "Pool") -> dict[str, Any]:
    """Tasks with status, VDIs that a control domain holds, and VDIs and snapshots of VDIs that are in no VM."""
    db = pool.db
    with db.lock:
        vbds = [record for record in db.all("VBD").values() if not is_null(record["VDI"])]
        by_dom0 = [each for each in vbds if db.get("VM", each["VM"])["is_control_domain"]]
        attached = {each["VDI"] for each in vbds}
        return {
            "tasks": [f"{each['name_label']}: {each['status']}" for each in db.all("task").values()],
            "dom0_vbds": [db.get("VDI", each["VDI"])["uuid"] for each in by_dom0],
            "loose_vdis": [
                record["uuid"]
                for ref, record in db.all("VDI").items()
                if ref not in attached and not record["is_a_snapshot"]
            ],
            "loose_snapshots": [
                record["uuid"]
                for ref, record in db.all("VDI").items()
                if ref not in attached and record["is_a_snapshot"]
            ],
        }
