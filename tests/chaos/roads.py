"""What a run asks for besides, by its road: of the request, of its lab, of whoever steers it, and when it is done."""

from dataclasses import dataclass, field
from typing import Any

SPEED = 60
"""Seconds of the lab in one of ours."""
FOREIGN = "before the patch"
"""A snapshot of somebody else, whose removal the request approves."""
ISO = "[ds1] iso/debian.iso"
LATE = 7.0
"""Seconds, after which a guest that was given up goes off: the watch looks every five."""


@dataclass(frozen=True)
class Road:
    """One way that a migration may take.

    Attributes:
        request: fields of the request.
        vm: of its source, as the inventory writes it.
        cancelled_in: activity at whose begin somebody cancels.
        rolled_back_in: activity at whose begin somebody rolls back.
        tested: somebody has it test-booted, and approves when the test is over.
        afterwards: workflow that is asked for when it is done.
    """

    request: dict[str, Any] = field(default_factory=dict)
    vm: dict[str, Any] = field(default_factory=dict)
    shutdown_seconds: float = 0.5
    cancelled_in: str = ""
    rolled_back_in: str = ""
    tested: bool = False
    afterwards: str = ""


_AFTER = {
    "smoke": {"guest_tools": True, "reboot": True, "within": "30s"},
    "probation": "2s",
}  # fmt: skip

ROADS: dict[str, Road] = {
    "straight": Road(),
    "a freeze that fails": Road(),
    "cancel in cutover": Road(cancelled_in="snapshot_target"),
    "cancel before start": Road(cancelled_in="unblock_target"),
    "rollback": Road(rolled_back_in="prove_source"),
    "read back between": Road(request={"downtime_budget": "31s"}),
    "checksum": Road(),
    "window": Road(request={"windows": ["daily 00:00-24:00 UTC"]}),
    "approved steps": Road(
        request={"approved_steps": {"remove-snapshots": "it is old", "eject-iso": "nobody needs it"}},
        vm={"snapshots": [FOREIGN], "cdrom": ISO},
    ),
    "late shutdown": Road(request={"power_off_patience": "1s"}, shutdown_seconds=LATE * SPEED),
    "test boot": Road(request={"approval": "manual"}, tested=True),
    "cancel in test boot": Road(request={"approval": "manual"}, tested=True, cancelled_in="start_test"),
    "undone after diverged": Road(),
    "after the start": Road(request=_AFTER),
    "rollback in probation": Road(request=_AFTER, rolled_back_in="see_source_off"),
    "move disks": Road(afterwards="MoveDisk"),
    "removal": Road(request={"probation": "1s"}, afterwards="RetireVm"),
}  # fmt: skip
