"""What the pool can take."""

from simulators.vsphere.server import VsphereSimulator
from simulators.xapi.server import XapiSimulator
from tests.conformance.preflight.looking import Case


def without_templates(_: VsphereSimulator, pool: XapiSimulator) -> None:
    """Somebody removed them."""
    for record in pool.pool.db.all("VM").values():
        record["is_a_template"] = False


CASES = [
    Case("preflight.unknown_sr", order={"sr": "no-such-sr"}),
    Case("preflight.disk_too_large", vm={"disks": [{"size_mib": 3 << 20, "datastore": "nfs1"}]}),
    Case("preflight.sr_too_small", pool={"srs": [{"name": "san", "type": "lvmoiscsi", "size_gib": 0.01}]}),
    Case("preflight.sr_overcommitted", pool={"srs": [{"name": "local-ext", "size_gib": 0.001}]}),
    Case("preflight.no_template", before=without_templates),
    Case("preflight.no_template", order={"template": "nowhere"}, name="that was asked for"),
    Case("preflight.unmapped_network", target={"networks": {"another": "lan"}}),
]
