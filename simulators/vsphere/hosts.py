"""The ESXi hosts of a vCenter: what each shows of itself. All of them answer at the simulator's one door."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from simulators.vsphere import soap
from simulators.vsphere.clusters import AUTOSTART

if TYPE_CHECKING:
    from simulators.inventory import EsxiHost
    from simulators.vsphere.world import World


def host_properties(world: "World", ref: Any, said: "EsxiHost") -> dict[str, Callable[[], Any]]:
    """Of one HostSystem. Its name is what it was added by: an address, unless the inventory names it."""
    return {
        "name": lambda: world.host_name(said),
        "parent": lambda: world.compute,
        "summary": lambda: _summary(world, ref, said),
        "runtime": lambda: _runtime(said),
        "configManager": lambda: vim.host.ConfigManager(autoStartManager=vim.host.AutoStartManager(AUTOSTART)),
        "config": lambda: None,
        "vm": lambda: [each.ref for each in world.machines.values() if world.host_of(each.said) == ref],
        "datastore": lambda: [each.ref for each in world.datastores.values()],
    }


def _runtime(said: "EsxiHost") -> Any:
    return soap.complete(
        vim.host.RuntimeInfo(
            connectionState=said.connection, powerState="poweredOn", inMaintenanceMode=said.maintenance,
        )
    )  # fmt: skip


def _summary(world: "World", ref: Any, said: "EsxiHost") -> Any:
    version = said.version or world.said.version
    product = soap.complete(
        vim.AboutInfo(
            name="VMware ESXi", fullName=f"VMware ESXi {version} build-{said.build}", vendor="VMware, Inc.",
            version=version, build=said.build, osType="vmnix-x86", productLineId="embeddedEsx", apiType="HostAgent",
            apiVersion=version,
        )
    )  # fmt: skip
    return soap.complete(
        vim.host.Summary(
            host=ref, overallStatus="green", rebootRequired=False, runtime=_runtime(said),
            config=soap.complete(
                vim.host.Summary.ConfigSummary(
                    name=world.host_name(said), product=product, sslThumbprint="", port=world.port
                )
            ),
            quickStats=vim.host.Summary.QuickStats(),
        )
    )  # fmt: skip
