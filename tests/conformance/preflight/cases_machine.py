"""What the machine itself has against it."""

from typing import Any

from simulators.vsphere.server import VsphereSimulator
from simulators.xapi.server import XapiSimulator
from tests.conformance.preflight.looking import Case

FREE: dict[str, Any] = {"kind": "esxi", "licence": "free"}


def one_disk(**more: Any) -> dict[str, Any]:
    """Of a machine with one disk that is somehow odd."""
    return {"disks": [{"size_mib": 8, "datastore": "nfs1", **more}]}


def marked(vcenter: VsphereSimulator, _: XapiSimulator) -> None:
    """Another migration owns it."""
    extra = vcenter.world.vm("web01").extra_config
    extra["ferry.migration"], extra["ferry.workflow"] = "another-run", "migrate/vc/other"


CASES = [
    Case("vm.already_migrating", before=marked),
    Case("preflight.no_disks", vm={"disks": []}),
    Case("preflight.rdm_disk", vm=one_disk(rdm="physical")),
    Case("preflight.independent_disk", vm=one_disk(mode="independent_persistent")),
    Case("preflight.multi_writer_disk", vm=one_disk(sharing="sharingMultiWriter")),
    Case("preflight.encrypted_disk", vm=one_disk(encrypted=True)),
    Case("preflight.no_change_tracking", vm={"change_tracking_supported": False}),
    Case("preflight.tools_not_running", vm={"guest": {"tools": "not-running"}}),
    Case("preflight.iso_mounted", vm={"cdrom": "[nfs1] iso/debian.iso"}),
    Case("vsphere.foreign_snapshot", vm={"snapshots": ["before the update"]}),
    Case("preflight.free_licence_running", vcenter=FREE),
    Case("preflight.free_licence", vm={"power": "off"}, vcenter=FREE),
    Case("preflight.free_licence_snapshots", vm={"power": "off", "snapshots": ["before"]}, vcenter=FREE),
]
