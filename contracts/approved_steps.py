"""Steps on the source that a request approves beforehand, with a reason: without that, Ferry touches none of it."""

from enum import StrEnum

from pydantic import Field

from contracts.base import Contract
from contracts.steps import Errand


class ApprovedStep(StrEnum):
    """In the order in which they are taken: that of the seed for VMFS6 (field.md row 53)."""

    REMOVE_SNAPSHOTS = "remove-snapshots"
    EJECT_ISO = "eject-iso"


class StepOrder(Contract):
    """One of them. ``snapshots``: refs of those that the preflight listed; no other is touched."""

    errand: Errand
    step: ApprovedStep
    snapshots: tuple[str, ...] = ()
    epoch: int = 0


class StepDone(Contract):
    """What was removed or ejected, by name; an attempt that comes second finds nothing left to do."""

    done: tuple[str, ...] = Field(default=())
