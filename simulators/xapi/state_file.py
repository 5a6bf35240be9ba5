"""``state.json``: what the pool looks like, for people and tests; written whole at every change that shows."""

import json
from typing import TYPE_CHECKING, Any

from simulators.xapi.database import is_null

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool


class StateFile:
    """Kept in the pool's folder."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._written = ""

    def view(self) -> dict[str, Any]:
        """The same as the file holds."""
        db = self._pool.db
        with db.lock:
            return {
                "vms": [
                    self._vm(ref, record)
                    for ref, record in db.all("VM").items()
                    if not (record["is_a_template"] or record["is_a_snapshot"] or record["is_control_domain"])
                ]
            }

    def write(self) -> None:
        """Write the file if anything shows that did not before."""
        with self._pool.db.lock:  # and no lock of its own: whoever calls may hold this one already
            text = json.dumps(self.view(), indent=1)
            if text == self._written:
                return
            draft = self._pool.folder / ".state.json"
            draft.write_text(text)
            draft.replace(self._pool.folder / "state.json")
            self._written = text

    def _vm(self, ref: str, record: dict[str, Any]) -> dict[str, Any]:
        db = self._pool.db
        vifs = sorted((db.get("VIF", each) for each in record["VIFs"]), key=lambda vif: int(vif["device"]))
        vbds = sorted((db.get("VBD", each) for each in record["VBDs"]), key=lambda vbd: int(vbd["userdevice"]))
        return {
            "name": record["name_label"],
            "uuid": record["uuid"],
            "power_state": record["power_state"],
            "description": record["name_description"],
            "tags": sorted(record["tags"]),
            "firmware": record["HVM_boot_params"].get("firmware", "bios"),
            "nics": [
                {
                    "device": vif["device"],
                    "mac": vif["MAC"],
                    "network": db.get("network", vif["network"])["name_label"],
                }
                for vif in vifs
            ],
            "disks": [self._disk(vbd) for vbd in vbds if vbd["type"] == "Disk" and not is_null(vbd["VDI"])],
        }

    def _disk(self, vbd: dict[str, Any]) -> dict[str, Any]:
        pool = self._pool
        vdi = pool.db.get("VDI", vbd["VDI"])
        snapshots = [each for each in vdi["snapshots"] if pool.db.has("VDI", each)]
        return {
            "userdevice": vbd["userdevice"],
            "vdi": vdi["uuid"],
            "file": str(pool.vdi_file(vbd["VDI"])),
            "snapshot_vdi": pool.db.get("VDI", snapshots[-1])["uuid"] if snapshots else None,
            "snapshot_file": str(pool.vdi_file(snapshots[-1])) if snapshots else None,
            "source_disk": vdi["other_config"].get("ferry.source_disk"),
        }
