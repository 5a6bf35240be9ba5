"""What vSphere's faults mean to us (vsphere.md §5): one table, by the fault's name."""

import http.client
import ssl
import xml.parsers.expat
from typing import Any

from pyVmomi import vmodl

from contracts.errors import FerryError

_CODES = {
    "InvalidLogin": "vsphere.login_refused",
    "NoPermission": "vsphere.no_permission",
    "RestrictedVersion": "vsphere.licence",
    "NotEnoughLicenses": "vsphere.licence",  # LicenseExpired is one
    "RestrictedByAdministrator": "vsphere.no_permission",
    "TaskInProgress": "vsphere.busy",
    "ConcurrentAccess": "vsphere.busy",
    "HostCommunication": "vsphere.unreachable",
    "HostNotConnected": "vsphere.unreachable",
    "HostNotReachable": "vsphere.unreachable",
    "NotAuthenticated": "vsphere.unreachable",
    "ResourceInUse": "vsphere.busy",
    "FileLocked": "vsphere.busy",
    "SnapshotFault": "vsphere.snapshot_failed",
    "ApplicationQuiesceFault": "vsphere.snapshot_failed",
    "FilesystemQuiesceFault": "vsphere.snapshot_failed",
    "SnapshotNoChange": "vsphere.snapshot_failed",
    "ToolsUnavailable": "preflight.tools_not_running",
    "ManagedObjectNotFound": "vm.gone",
    "SystemError": "vsphere.busy",
    "Timedout": "vsphere.busy",
}
"""Also what is a kind of these: FileLocked is a FileFault, LicenseExpired a NotEnoughLicenses."""
_PLAINLY = {"RuntimeFault": "vsphere.busy"}
"""Only these themselves: InvalidArgument, NotSupported and MethodNotFound are RuntimeFaults too, and stay what
they are however often they are tried."""


def fault_name(fault: object) -> str:
    """``TaskInProgress`` of a ``vim.fault.TaskInProgress``."""
    return type(fault).__name__.rpartition(".")[2]


def translated(error: BaseException, doing: str) -> FerryError:
    """An error of ours from whatever pyVmomi raised.

    Args:
        doing: what was being done, for the message: "take a snapshot of web01".
    """
    if isinstance(error, FerryError):
        return error
    if isinstance(error, vmodl.MethodFault):
        return _of_fault(error, doing)
    if isinstance(error, ssl.SSLCertVerificationError):
        return FerryError("vsphere.certificate", f"cannot {doing}: {error.verify_message}")
    if isinstance(error, OSError | http.client.HTTPException | xml.parsers.expat.ExpatError) or _is_a_page(error):
        return FerryError("vsphere.unreachable", f"cannot {doing}: {type(error).__name__}")
    return FerryError("vsphere.fault", f"cannot {doing}: {type(error).__name__}")


def _is_a_page(error: BaseException) -> bool:
    """An HTTP 500 whose body is no SOAP fault, as a proxy in between writes it: pyVmomi finds no fault to raise."""
    return type(error) is Exception and str(error).startswith("Raising a non-exception object")


def _of_fault(fault: Any, doing: str) -> FerryError:
    name = fault_name(fault)
    if name == "HostConnectFault":  # pyVmomi's own word for whatever kept it from connecting
        certificate = "CERTIFICATE_VERIFY_FAILED" in str(fault.msg)
        code = "vsphere.certificate" if certificate else "vsphere.unreachable"
        return FerryError(
            code, f"cannot {doing}: {'the certificate is not trusted' if certificate else 'no connection'}"
        )
    code = _PLAINLY.get(name) or next((_CODES[each] for each in _lineage(fault) if each in _CODES), "vsphere.fault")
    told = f"cannot {doing}: {name}"
    if name == "NoPermission":
        told = f"cannot {doing}: the privilege {fault.privilegeId or 'for it'} is missing"
    elif name == "InvalidArgument" and fault.invalidProperty:
        told = f"{told} ({fault.invalidProperty})"
    elif fault.msg and name != "InvalidLogin":
        told = f"{told}: {fault.msg}"
    return FerryError(code, told[:500])


def _lineage(fault: object) -> list[str]:
    """The fault's name and those of the kinds that it is one of."""
    return [each.__name__.rpartition(".")[2] for each in type(fault).__mro__]
