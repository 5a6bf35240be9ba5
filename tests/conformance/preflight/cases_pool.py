"""What the pool has against it: its hosts, SRs, networks, MACs, rights, versions and clocks, and the time of a PUT."""

from typing import Any

from simulators.vsphere.server import VsphereSimulator
from simulators.xapi.server import XapiSimulator
from tests.conformance.preflight.looking import Case

GIB = 1024
TWIN = {"name": "web01-copy", "mac": "00:50:56:AA:00:01"}
TWO = [
    {"name": "xcp1", "srs": ["local-ext"], "networks": ["san"]},
    {"name": "xcp2", "srs": ["other"], "networks": ["lan"]},
]
SRS = [{"name": "local-ext"}, {"name": "other"}]
BACKUP = {"networks": [{"name": "lan"}, {"name": "backup"}], "backup_network": "backup"}


def host(**more: Any) -> dict[str, Any]:
    """A pool of one host that is somehow odd."""
    return {"hosts": [{"name": "xcp1", **more}]}


def half_full(_: VsphereSimulator, pool: XapiSimulator) -> None:
    """Other VMs run."""
    for record in pool.pool.db.all("host_metrics").values():
        record["memory_free"] = 1 << 28


def address(pool: XapiSimulator, ip: str) -> None:
    """Of all hosts on the backup network."""
    db = pool.pool.db
    [network] = db.by_name("network", "backup")
    for pif in db.all("PIF").values():
        if pif["network"] == network:
            pif["IP"] = ip


def without_address(_: VsphereSimulator, pool: XapiSimulator) -> None:
    """The card of the backup network has no IP."""
    address(pool, "")


def elsewhere(_: VsphereSimulator, pool: XapiSimulator) -> None:
    """The backup network is one that does not lead to the worker."""
    address(pool, "127.0.0.77")


def dead(_: VsphereSimulator, pool: XapiSimulator) -> None:
    """The only host with the SR gives an address at which nobody is."""
    for record in pool.pool.db.all("host").values():
        record["address"] = "127.0.0.77:9"


CASES = [
    Case("preflight.role_too_low", pool={"role": "vm-admin"}),
    Case("preflight.sr_unplugged", pool=host(srs=[])),
    Case("preflight.sr_unplugged", name="as its host is disabled", pool=host(enabled=False)),
    Case("preflight.sr_kind", pool={"srs": [{"name": "usb", "type": "udev"}]}),
    Case("preflight.sr_local", pool={"hosts": [{"name": "xcp1", "srs": ["local-ext"]}, {"name": "xcp2", "srs": []}]}),
    Case("preflight.no_fitting_host",
         pool={"hosts": TWO, "srs": SRS, "networks": [{"name": "lan"}, {"name": "san"}]}),
    Case("preflight.memory_never_fits", vm={"memory_mib": 512 * GIB}),
    Case("preflight.memory_short", before=half_full),
    Case("preflight.more_cpus_than_hosts", vm={"cpus": 32}),
    Case("preflight.host_disabled", pool={"hosts": [{"name": "xcp1"}, {"name": "xcp2", "enabled": False}]}),
    Case("preflight.pool_licence", pool=host(licence_until="2026-01-31")),
    Case("preflight.pool_upgrading", pool={"rolling_upgrade": True}),
    Case("preflight.pool_known_trouble", pool={"version": "8.0.0"}),
    Case("preflight.ha_enabled", pool={"high_availability": True}),
    Case("preflight.mac_clash", pool={"vms": [TWIN]}),
    Case("preflight.mac_twin", pool={"vms": [{**TWIN, "power": "off"}]}),
    Case("preflight.backup_network", pool=BACKUP, before=without_address),
    Case("preflight.pool_unreachable", pool=BACKUP, before=elsewhere),
    Case("preflight.pool_unreachable", name="without a backup network", before=dead),
    Case("preflight.segment_over_a_day", vm={"disks": [{"size_mib": 8 * GIB, "datastore": "nfs1"}]},
         order={"segment_bytes": 8 << 30, "bandwidth": "64K"}),
    Case("preflight.segment_near_a_day", vm={"disks": [{"size_mib": 8 * GIB, "datastore": "nfs1"}]},
         order={"segment_bytes": 8 << 30, "bandwidth": "128K"}),
    Case("preflight.no_ranges", vm={"disks": [{"size_mib": 200 * GIB, "datastore": "nfs1"}]}),
    Case("preflight.clock_skew", name="of a host of the pool", pool=host(clock_skew_seconds=600)),
]  # fmt: skip
