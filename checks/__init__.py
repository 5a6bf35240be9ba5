"""What stands in the way of a migration, a function per finding. Pure: everything was read before.

A new check is one function here, decorated with its code, and an entry of that code in the catalogue. Importing this
package fills :data:`checks.registry.CHECKS`.
"""

from checks import (
    clocks,
    disks,
    esxi_hosts,
    guest,
    hardware,
    placement,
    pool,
    privileges,
    snapshots,
    source_system,
    transports,
)  # fmt: skip
from checks.registry import BLOCKER, CHECKS, NOTE, WARNING, Rule, run_checks
from checks.seen import Seen

__all__ = [
    "BLOCKER", "CHECKS", "NOTE", "WARNING", "Rule", "Seen", "clocks", "disks", "esxi_hosts", "guest", "hardware",
    "placement", "pool", "privileges", "run_checks", "snapshots", "source_system", "transports",
]  # fmt: skip
