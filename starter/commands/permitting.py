"""`ferry capacity`: who holds which permits, who waits for which, and why."""

from typing import TYPE_CHECKING

from starter.options import Config, OutputAs
from starter.output import Output, put

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.capacity import CapacityStatus


def capacity(output: OutputAs = Output.TABLE, config: Config = None) -> None:
    """Show who holds the permits of hosts, datastores, SRs and links, and who waits for what and why.

    All fleets and single migrations share them. Limits are set in ferry.toml of the workers:

    \b
      [capacity]
      sr = 8                          # first copies and cutovers at once, into each SR
      host = 4                        # of each ESXi host
      [capacity.named]
      "host:vcenter/esx1" = 1         # of this one; 0 closes it

    \b
    Examples:
      ferry capacity
      ferry capacity -o json
    """
    from starter.dialling import dial_with
    from starter.settings import load_settings
    from starter.views.capacity import capacity_view

    told = dial_with(load_settings(config), _ask)
    put(told, output, lambda: capacity_view(told))


async def _ask(client: "Client") -> "CapacityStatus":
    from starter.capacity import capacity_of

    return await capacity_of(client)
