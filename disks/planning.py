"""Which plan a disk gets next: the only place where trust in change tracking is decided upon (SAFETY 11)."""

from contracts.errors import FerryError
from disks.ledger import Standing
from disks.plan import Plan, compare_plan, delta_plan, initial_plan, repeated_initial_plan
from disks.protocols import DiskSource


def next_plan(
    standing: Standing, source: DiskSource, *, pass_no: int, upto: str, prezeroed: bool, distrust: str = ""
) -> Plan:
    """The plan of a pass that begins now.

    Args:
        standing: what the journal says about the disk.
        source: the frozen disk.
        upto: the freeze's landmark; empty where nothing is tracked.
        prezeroed: whether the VDI held zeros when we made it.
        distrust: why a landmark is not believed, though there is one; empty: it is.

    Raises:
        FerryError: ``target.diverged`` when the target has run since (SAFETY 18).
    """
    capacity = source.capacity
    if standing.diverged:
        raise FerryError("target.diverged", "the target has been started, so it cannot be continued by deltas")
    if not standing.touched:
        return initial_plan(pass_no, source.allocated(), upto=upto, capacity=capacity, prezeroed=prezeroed)
    if not standing.complete:
        return repeated_initial_plan(
            pass_no, source.allocated(), standing.owed, upto=upto, capacity=capacity, prezeroed=prezeroed
        )
    if distrust:
        return compare_plan(pass_no, standing.owed, upto=upto, capacity=capacity, reason=distrust)
    if not standing.landmark or not upto:
        return compare_plan(pass_no, standing.owed, upto=upto, capacity=capacity, reason=_no_landmark(upto))
    try:
        changed = source.changed_since(standing.landmark)
    except FerryError as error:
        if error.code != "vsphere.change_tracking_unusable":
            raise
        return compare_plan(pass_no, standing.owed, upto=upto, capacity=capacity, reason=error.message)
    return delta_plan(
        pass_no, changed, standing.owed, standing.unsure, since=standing.landmark, upto=upto, capacity=capacity
    )


def _no_landmark(upto: str) -> str:
    return "an earlier comparison was void" if upto else "change tracking is off for this disk"
