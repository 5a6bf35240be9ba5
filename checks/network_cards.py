"""Network cards."""

from collections.abc import Iterator

from checks.registry import BLOCKER, NOTE, WARNING, check
from checks.seen import Seen

MOST_NICS = 7
"""What templates allow and is supported (xapi.md §3.6); XAPI itself counts to 16."""


@check("preflight.too_many_nics", BLOCKER, overridable=True)
def too_many_nics(seen: Seen) -> Iterator[str]:
    """Beyond what is supported."""
    count = len(seen.machine.nics)
    if count > MOST_NICS:
        yield f"{count} network cards, of which XCP-ng supports {MOST_NICS}"


@check("preflight.sriov_nic", WARNING)
def sriov_nic(seen: Seen) -> Iterator[str]:
    """It becomes a card like any other."""
    for nic in seen.machine.nics:
        if nic.kind == "sriov":
            yield f"{nic.label or nic.mac} is an SR-IOV card; on the target it is a plain one"


@check("preflight.nic_disconnected", NOTE)
def nic_disconnected(seen: Seen) -> Iterator[str]:
    """It is moved and stays silent."""
    for nic in seen.machine.nics:
        if not nic.connected_at_start:
            yield f"{nic.label or nic.mac} is not connected at start; on the target its traffic is dropped"


@check("preflight.mac_set_by_hand", NOTE)
def mac_set_by_hand(seen: Seen) -> Iterator[str]:
    """Kept as any other; whoever set it may have done so for a licence."""
    told = [f"{nic.mac} ({nic.label or nic.network})" for nic in seen.machine.nics if nic.mac_set_by_hand]
    if told:
        yield f"kept: {', '.join(told)}"
