"""The LicenseManager: which licences a host or vCenter shows, by ``licence:`` of the inventory."""

from collections.abc import Callable
from typing import Any

from pyVmomi import vim

from simulators.inventory import Vsphere
from simulators.vsphere import soap

_EVALUATION = ("eval", "Evaluation Mode", "00000-00000-00000-00000-00000")
_HOST = {
    "paid": ("esx.enterprisePlus.cpuPackage", "VMware vSphere Enterprise Plus", "HOST1-PAID0-00000-00000-00000"),
    "evaluation": _EVALUATION,
    "free": ("esxBasic", "VMware vSphere Hypervisor", "HOST1-FREE0-00000-00000-00000"),
}
_VCENTER = ("vc.standard.instance", "VMware vCenter Server Standard", "VCTR1-PAID0-00000-00000-00000")


def licence_properties(said: Vsphere) -> dict[str, Callable[[], Any]]:
    """Of the LicenseManager, made when they are asked for: a licence may be changed while the host runs."""
    return {
        "licenses": lambda: [_info(*each) for each in _shown(said)],
        "licensedEdition": lambda: _shown(said)[-1][0],
    }


def _shown(said: Vsphere) -> list[tuple[str, str, str]]:
    """A bare host shows its own licence; a vCenter its own, its hosts' and, always, that of the evaluation."""
    its = _HOST[said.licence]
    return list(dict.fromkeys([_EVALUATION, _VCENTER, its])) if said.kind == "vcenter" else [its]


def _info(edition: str, name: str, key: str) -> Any:
    return soap.complete(
        vim.LicenseManager.LicenseInfo(licenseKey=key, editionKey=edition, name=name, total=0, costUnit="cpuPackage")
    )
