"""Class network: those without an uplink, which a client makes and takes away; and the clones of VDIs.

A network is destroyed only when it has no PIF (NETWORK_CONTAINS_PIF) and no VIF that is plugged
(NETWORK_CONTAINS_VIF); VIFs that are not go with it. A VDI that is attached for writing is not cloned (VDI_IN_USE).
"""

import uuid
from typing import TYPE_CHECKING, Any

from simulators.xapi.class_vdi import checked_record, copy_sparse, used_of
from simulators.xapi.failure import NULL, XapiFailure
from simulators.xapi.pool import message

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool


@message("network.create")
def create(pool: "Pool", session: str, given: dict[str, Any]) -> str:
    values = checked_record("network", given)
    bridge = values.get("bridge") or f"xapi{len(pool.db.all('network'))}"
    return pool.db.add("network", **{"MTU": 1500, "managed": True, **values, "bridge": bridge})


@message("network.destroy")
def destroy(pool: "Pool", session: str, network: str) -> str:
    record = pool.db.get("network", network)
    vifs = {ref: vif for ref, vif in pool.db.all("VIF").items() if vif["network"] == network}
    plugged = [ref for ref, vif in vifs.items() if vif["currently_attached"]]
    if plugged:
        raise XapiFailure("NETWORK_CONTAINS_VIF", *plugged)
    if record["PIFs"]:
        raise XapiFailure("NETWORK_CONTAINS_PIF", *record["PIFs"])
    for ref, vif in vifs.items():
        pool.db.get("VM", vif["VM"])["VIFs"].remove(ref)
        pool.db.remove("VIF", ref)
    pool.db.remove("network", network)
    return ""


@message("VDI.clone")
def clone(pool: "Pool", session: str, vdi: str, driver_params: dict[str, str] | None = None) -> str:
    record = pool.db.get("VDI", vdi)
    if any(vbd["currently_attached"] and vbd["mode"] == "RW" for vbd in pool.vbds_of_vdi(vdi).values()):
        raise XapiFailure("VDI_IN_USE", vdi, "clone")
    sr = pool.db.get("SR", record["SR"])
    if sr["type"].startswith("lvm") and used_of(pool, record["SR"]) + record["virtual_size"] > sr["physical_size"]:
        raise XapiFailure("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")  # thick: all of it once more
    made = {
        **record, "uuid": str(uuid.uuid4()), "is_a_snapshot": False, "snapshot_of": NULL, "snapshots": [], "VBDs": [],
        "other_config": dict(record["other_config"]), "sm_config": dict(record["sm_config"]),
    }  # fmt: skip
    ref = pool.db.add("VDI", **made)
    copy_sparse(pool.vdi_file(vdi), pool.vdi_file(ref))
    pool.chains.snapshot(vdi, ref)
    sr["VDIs"].append(ref)
    return ref
