"""What may start a machine by itself: a cluster's HA and DRS with their overrides, a host's auto-start list.

Left out: what HA and DRS do. A machine comes back by itself only by the lab's own door.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from simulators.vsphere import soap
from simulators.vsphere.oddities import cluster_rules

if TYPE_CHECKING:
    from simulators.vsphere.world import World

AUTOSTART = "autostart-6"
PRIVILEGES = {
    "ReconfigureComputeResource_Task": "Host.Inventory.EditCluster",
    "ReconfigureAutostart": "Host.Config.AutoStart",
}


class Clusters:
    """The overrides, by machine's moid."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.ha: dict[str, Any] = {}
        self.drs: dict[str, Any] = {}
        self.autostart: dict[str, Any] = {}

    def begin(self) -> None:
        """What the inventory says of auto-start: in its order."""
        listed = [each for each in self._world.machines.values() if each.said.autostart]
        for number, machine in enumerate(listed, 1):
            self.autostart[machine.moid] = vim.host.AutoStartManager.AutoPowerInfo(
                key=machine.ref, startOrder=number, startDelay=-1, waitForHeartbeat="systemDefault",
                startAction="powerOn", stopDelay=-1, stopAction="systemDefault",
            )  # fmt: skip

    def cluster_properties(self) -> dict[str, Callable[[], Any]]:
        """Of the ClusterComputeResource, besides what every compute resource has."""
        said = self._world.said.cluster
        return {} if said is None else {"configurationEx": self._configuration}

    def _configuration(self) -> Any:
        said = self._world.said.cluster
        assert said is not None
        return soap.complete(
            vim.cluster.ConfigInfoEx(
                dasConfig=vim.cluster.DasConfigInfo(enabled=said.ha), dasVmConfig=list(self.ha.values()),
                drsConfig=vim.cluster.DrsConfigInfo(enabled=said.drs), drsVmConfig=list(self.drs.values()),
                dpmConfigInfo=vim.cluster.DpmConfigInfo(enabled=said.dpm), **cluster_rules(self._world),
            )
        )  # fmt: skip

    def autostart_properties(self) -> dict[str, Callable[[], Any]]:
        """Of the HostAutoStartManager."""
        return {
            "config": lambda: vim.host.AutoStartManager.Config(
                defaults=vim.host.AutoStartManager.SystemDefaults(enabled=True), powerInfo=list(self.autostart.values())
            )
        }

    def call(self, method: str, moid: str, said: dict[str, Any]) -> Any:
        """Carry out; a task where the API says so."""
        wanted = PRIVILEGES[method]
        if wanted in self._world.said.privileges_missing:
            error = soap.named_fault("NoPermission", "Permission to perform this operation was denied.")
            error.object, error.privilegeId = vim.ManagedEntity(moid), wanted
            raise error
        if self._world.said.licence == "free":
            self._world.restricted[method] += 1
            raise soap.named_fault("RestrictedVersion", "Current license or ESXi version prohibits it.")
        if method == "ReconfigureAutostart":
            for each in said["spec"].powerInfo or []:
                self._world.machine(each.key._moId)
                self.autostart[each.key._moId] = each
            return None
        return self._world.tasks.begin(method, self._world.compute, lambda _: self._override(said["spec"]))

    def _override(self, spec: Any) -> None:
        if not isinstance(spec, vim.cluster.ConfigSpecEx):
            raise soap.named_fault("InvalidArgument", "A specified parameter was not correct: spec")
        for changes, kept in ((spec.dasVmConfigSpec, self.ha), (spec.drsVmConfigSpec, self.drs)):
            for each in changes or []:
                _apply(each, kept)


def _apply(change: Any, kept: dict[str, Any]) -> None:
    """Adding what is there, and editing or removing what is not, is refused."""
    removed = change.operation == "remove"
    key = (change.removeKey if removed else change.info.key)._moId
    if (change.operation == "add") == (key in kept):
        raise soap.named_fault("InvalidArgument", f"A specified parameter was not correct: {change.operation}")
    if removed:
        del kept[key]
    else:
        kept[key] = change.info
