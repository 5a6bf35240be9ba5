"""VMs of a source, a line each."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from contracts.machine import MachineSummary
from starter.views.tables import table
from starter.views.words import DASH, size


def machines_view(machines: Sequence[MachineSummary]) -> RenderableType:
    """The table of `ferry inventory`."""
    if not machines:
        return Text("no VMs")
    return table(
        ("VM", "power", "guest", "CPUs", "memory", "disks", "size", "tracked", "snapshots", "migrated by", "ref"),
        [
            (
                each.name,
                each.power.value,
                each.guest_name or DASH,
                str(each.cpus),
                size(each.memory),
                str(each.disks),
                size(each.capacity),
                "yes" if each.change_tracking else "no",
                str(each.snapshots),
                each.owner or DASH,
                each.ref,
            )
            for each in machines
        ],
        right=("CPUs", "memory", "disks", "size", "snapshots"),
    )
