"""What the system has against it that the machine comes from: its rights, hosts, datastores, exports, clock."""

from pathlib import Path
from typing import Any

from simulators.vsphere.server import VsphereSimulator
from simulators.xapi.server import XapiSimulator
from tests.conformance.preflight.looking import Case
from tests.conformance.vsphere_lab import STORES

NOWHERE = "esx1.lab.invalid"
"""A name that no resolver knows (RFC 2606)."""


def store(**more: Any) -> dict[str, Any]:
    """The first datastore is somehow odd."""
    return {"datastores": [{**STORES[0], **more}, *STORES[1:]]}


def lacks(*rights: str) -> dict[str, Any]:
    """The account's role has all but these."""
    return {"privileges_missing": list(rights)}


def closed(vcenter: VsphereSimulator, _: XapiSimulator) -> None:
    """A firewall stands between the worker and the host's port for exports: nobody listens at the one it tells."""
    vcenter.world.port = 1


CASES = [
    Case("preflight.privilege_missing", vcenter=lacks("VirtualMachine.State.CreateSnapshot")),
    Case("preflight.privilege_missing", name="of an older API",
         vcenter=lacks("VirtualMachine.Interact.PowerOff") | {"answers_privileges": "has"}),
    Case("preflight.privilege_later", vcenter=lacks("VirtualMachine.Config.Rename")),
    Case("preflight.privilege_later", name="of HA, DRS and auto-start",
         vcenter=lacks("Host.Inventory.EditCluster", "Host.Config.AutoStart")),
    Case("preflight.transport_privilege", vcenter=lacks("VApp.Export")),
    Case("preflight.no_transport", vm={"disks": [{"size_mib": 8, "datastore": "vsan1"}]}, vcenter=lacks("VApp.Export")),
    Case("preflight.stream_only", vm={"disks": [{"size_mib": 8, "datastore": "vsan1"}]}),
    Case("preflight.export_not_seen", source={"nfs": {"nfs1": "/nowhere/nfs1"}}),
    Case("preflight.export_writable", source={"nfs": {"nfs1": str(Path.cwd())}}),
    Case("preflight.export_old_spelling", source={"nfs": {"[VMWARE]nfs1": str(Path.cwd())}}),
    Case("preflight.host_name", vcenter={"hosts": [{"name": NOWHERE}]}),
    Case("preflight.host_port", before=closed),
    Case("preflight.host_port", name="of VDDK", source={"vddk": {}}),
    Case("preflight.host_maintenance", vcenter={"hosts": [{"maintenance": True}]}),
    Case("preflight.source_known_bad", vcenter={"hosts": [{"version": "6.0.0", "build": "3029758"}]}),
    Case("preflight.source_known_trouble", vcenter={"hosts": [{"version": "7.0.3", "build": "18644231"}]}),
    Case("preflight.datastore_maintenance", vcenter=store(maintenance="enteringMaintenance")),
    Case("preflight.datastore_full", vcenter=store(free_gib=0.5)),
    Case("preflight.clock_skew", vcenter={"clock_skew_seconds": -600}),
]  # fmt: skip
