"""`ferry inventory`: which VMs are there, as a worker sees them."""

from typing import TYPE_CHECKING

from starter.options import Config, OutputAs, Site, Source
from starter.output import Output, put

if TYPE_CHECKING:
    from temporalio.client import Client

    from contracts.inspection import InspectReport
    from starter.settings import Settings


def inventory(source: Source = None, site: Site = None, output: OutputAs = Output.TABLE, config: Config = None) -> None:
    """List the VMs of a source. A worker looks; nothing is touched.

    \b
    Examples:
      ferry inventory
      ferry inventory --source vc -o json
    """
    from contracts.inspection import InspectRequest
    from starter.dialling import dial
    from starter.inspecting import inspect
    from starter.views.machines import machines_view

    async def work(client: "Client", settings: "Settings") -> "InspectReport":
        named = source or (settings.sources[0] if len(settings.sources) == 1 else None)
        return await inspect(client, InspectRequest(what="inventory", source=named, site=settings.site(site, named)))

    machines = dial(config, work).machines
    put(machines, output, lambda: machines_view(machines))
