"""XAPI's errors told in Ferry's codes (xapi.md §3.12). Nothing here knows a socket."""

import http
from collections.abc import Sequence

from contracts.errors import FerryError

_CODES: dict[str, tuple[str, ...]] = {
    "xapi.unreachable": (
        "CANNOT_CONTACT_HOST HOST_OFFLINE HOST_NOT_LIVE TLS_CONNECTION_FAILED CLIENT_ERROR HOST_IS_SLAVE",
    ),
    # HANDLE_INVALID: the next attempt looks everything up again by uuid.
    "xapi.busy": (
        "HOST_STILL_BOOTING HOST_IN_EMERGENCY_MODE OTHER_OPERATION_IN_PROGRESS TOO_MANY_PENDING_TASKS "
        "TOO_MANY_STORAGE_MIGRATES VDI_IN_USE DEVICE_DETACH_TIMEOUT DEVICE_DETACH_REJECTED DEVICE_ATTACH_TIMEOUT "
        "SR_VDI_LOCKING_FAILED VDI_NOT_AVAILABLE SR_BACKEND_FAILURE_46 EVENTS_LOST SESSION_INVALID "
        "NOT_SUPPORTED_DURING_UPGRADE HANDLE_INVALID OBJECT_NOLONGER_EXISTS TASK_CANCELLED INTERNAL_ERROR "
        "VDI_IO_ERROR",
    ),
    "xapi.sr_full": ("SR_FULL SR_BACKEND_FAILURE_44 SR_SOURCE_SPACE_INSUFFICIENT",),
    "xapi.sr_unavailable": ("SR_NOT_ATTACHED SR_HAS_NO_PBDS SR_UNHEALTHY",),
    "xapi.cannot_start": (
        "HOST_NOT_ENOUGH_FREE_MEMORY NO_HOSTS_AVAILABLE HOST_DISABLED VM_REQUIRES_SR VM_REQUIRES_NETWORK "
        "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN OPERATION_BLOCKED VM_INCOMPATIBLE_WITH_THIS_HOST VM_IS_TEMPLATE "
        "VM_HVM_REQUIRED VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE DISK_VBD_MUST_BE_READWRITE_FOR_HVM "
        "MEMORY_CONSTRAINT_VIOLATION MEMORY_CONSTRAINT_VIOLATION_ORDER MEMORY_CONSTRAINT_VIOLATION_MAXPIN",
    ),
    "xapi.login_refused": ("SESSION_AUTHENTICATION_FAILED",),
    "xapi.no_permission": ("SESSION_AUTHORIZATION_FAILED RBAC_PERMISSION_DENIED PERMISSION_DENIED",),
}
_CODE_OF = {wire: code for code, words in _CODES.items() for wire in " ".join(words).split()}

_REDONE = frozenset(
    ["VDI_IO_ERROR", "INTERNAL_ERROR", "TASK_CANCELLED", "OBJECT_NOLONGER_EXISTS", "HANDLE_INVALID", "UUID_INVALID"]
)
"""In a segment's task these say nothing but that the segment did not make it (xapi.md §1.6)."""

MOST_TOLD = 300


class XapiFailure(FerryError):
    """An error that XAPI answered with. ``wire`` is its own code, ``params`` what it said with it."""

    def __init__(self, doing: str, details: Sequence[str], code: str | None = None) -> None:
        self.wire = str(details[0]) if details else "no error code"
        self.params = tuple(str(each) for each in details[1:])
        super().__init__(code or code_of(details), f"{doing}: {told(details)}")


def code_of(details: Sequence[str]) -> str:
    """Our code for what XAPI told; one cause is known by its words alone, under whatever number its SR tells it."""
    if any("opening journal failed" in str(each) for each in details):
        return "xapi.journal_damaged"
    return _CODE_OF.get(str(details[0]) if details else "", "xapi.failure")


def told(details: Sequence[str]) -> str:
    """An error as a person may read it: opaque refs, some of which are sessions, are left out."""
    words = [
        "(ref)" if str(each).startswith("OpaqueRef:") or "trackid=" in str(each) else str(each)
        for each in details
        if each
    ]
    if words and words[0].startswith("SESSION_"):
        words = words[:1]
    return " ".join(words)[:MOST_TOLD] or "no error was told"


def of_segment(label: str, details: Sequence[str]) -> FerryError:
    """What a failed segment's task means: sent again, unless it names a cause that sending again does not cure."""
    wire = str(details[0]) if details else ""
    code = _CODE_OF.get(wire, "xapi.segment_failed")
    if wire in _REDONE or code in ("xapi.busy", "xapi.unreachable"):
        code = "xapi.segment_failed"
    return FerryError(code, f"{label}: {told(details)}")


def of_http(doing: str, status: int) -> FerryError:
    """What a refusal on the HTTP side means, where its task tells no more (xapi.md §1.6)."""
    try:
        reason = http.HTTPStatus(status).phrase
    except ValueError:
        reason = "unknown"
    if status == http.HTTPStatus.FORBIDDEN:
        code = "xapi.no_permission"
    elif status == http.HTTPStatus.REQUEST_TIMEOUT or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        code = "xapi.busy"
    elif status == http.HTTPStatus.UNAUTHORIZED:
        code = "xapi.busy"  # the session ended in between; the next attempt logs in anew
    else:
        code = "xapi.failure"
    return FerryError(code, f"{doing}: HTTP {status} {reason}")
