"""Where a machine runs: its host and its cluster. What our account may not see there is not known."""

from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from contracts.machine_facts import PlaceFacts
from platforms.vsphere.properties import read_one
from platforms.vsphere.session import Session

_CLUSTER_PATHS = (
    "name", "configurationEx.drsConfig.enabled", "configurationEx.dpmConfigInfo.enabled",
    "configurationEx.dasConfig.enabled", "configurationEx.rule", "configurationEx.group",
)  # fmt: skip


def place_of(session: Session, ref: Any, host: Any) -> PlaceFacts:
    """Two calls at most: the host, and its cluster where it is in one."""
    if host is None:
        return PlaceFacts()
    try:
        told = read_one(session, host, ["parent"], "read the host")
        cluster = told.get("parent")
        if not isinstance(cluster, vim.ClusterComputeResource):
            return PlaceFacts()
        found = read_one(session, cluster, _CLUSTER_PATHS, "read the cluster")
    except FerryError as error:
        if error.code != "vsphere.no_permission":
            raise
        return PlaceFacts()
    hosts, machines = rules_of(ref, found)
    return PlaceFacts(
        cluster=str(found.get("name") or ""),
        drs=bool(found.get("configurationEx.drsConfig.enabled")),
        dpm=bool(found.get("configurationEx.dpmConfigInfo.enabled")),
        ha=bool(found.get("configurationEx.dasConfig.enabled")),
        host_rules=tuple(hosts),
        machine_rules=tuple(machines),
    )


def rules_of(ref: Any, found: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Names of the enabled rules that tie a machine to hosts, and to other machines. Pure."""
    groups = {
        each.name for each in found.get("configurationEx.group") or []
        if isinstance(each, vim.cluster.VmGroup) and any(vm._moId == ref._moId for vm in each.vm or [])
    }  # fmt: skip
    hosts: list[str] = []
    machines: list[str] = []
    for rule in found.get("configurationEx.rule") or []:
        if not rule.enabled:
            continue
        if isinstance(rule, vim.cluster.VmHostRuleInfo):
            if rule.vmGroupName in groups:
                hosts.append(str(rule.name))
        elif any(vm._moId == ref._moId for vm in getattr(rule, "vm", None) or []):
            machines.append(str(rule.name))
    return hosts, machines
