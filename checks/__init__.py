"""What stands in the way of a migration, a function per finding. Pure: everything was read before.

A new check is one function here, decorated with its code, and an entry of that code in the catalogue. Importing this
package fills :data:`checks.registry.CHECKS`.
"""

from checks import (
    approved_steps,
    change_tracking,
    clocks,
    devices,
    disk_order,
    disk_sizes,
    disks,
    esxi_hosts,
    files,
    guest,
    guest_boot,
    hardware,
    network_cards,
    place,
    placement,
    pool,
    privileges,
    settings,
    snapshots,
    source_system,
    transports,
    vmware_tools,
)
from checks.registry import BLOCKER, CHECKS, NOTE, WARNING, Rule, run_checks
from checks.seen import Seen

__all__ = [
    "BLOCKER", "CHECKS", "NOTE", "WARNING", "Rule", "Seen", "approved_steps", "change_tracking", "clocks", "devices",
    "disk_order", "disk_sizes", "disks", "esxi_hosts", "files", "guest", "guest_boot", "hardware", "network_cards",
    "place", "placement", "pool", "privileges", "run_checks", "settings", "snapshots", "source_system", "transports",
    "vmware_tools",
]  # fmt: skip
