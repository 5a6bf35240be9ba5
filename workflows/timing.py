"""Every time-out and retry, with its reason. Nothing here is an option: change it here, for all."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.common import RetryPolicy

from contracts.names import QUEUE, TRANSFER_QUEUE

HEARTBEAT = timedelta(seconds=10)
"""A worker that dies is noticed within that time: activities beat every second (SAFETY 3)."""

PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=1)
)
"""For ever: what should not be tried again says so by its error's remedy. A minute at most, since a platform
that comes back should not find us asleep."""

STOP_TRYING = timedelta(minutes=10)
"""A rollback whose pool does not answer for that long asks a human (SAFETY 17)."""

REPAIRS = 2
"""Times that what a proof found is sent again, before a human is asked."""
FINAL_TRIES = 3
"""A final pass whose freeze did not hold is made again that often before the cutover is undone."""

OVERRUNS = 3
"""So many cutovers that took too long, and a human is asked: the guest writes more at its end than was foreseen."""

PASSES_PER_RUN = 50
"""Continue-as-new after as many, whatever the server suggests: a run's history stays small (SAFETY 20)."""

EVENTS_PER_RUN = 4000
"""Of a fleet: far below what Temporal warns of, and each replay stays short."""

GATHER_NOTICES = timedelta(seconds=5)
"""What comes within it is one message: a wave that is ready at once does not flood a chat."""
NOTICE = timedelta(seconds=30)
LAST_NOTICE = timedelta(minutes=1)
"""So long it is tried, and so long the end of a fleet waits for its last one."""
WATCH_MEMBERS = timedelta(hours=1)
"""So often a fleet looks whether its members still run: one that is terminated says nothing."""


@dataclass(frozen=True)
class Timing:
    """How long one attempt may take, and on which queue it runs."""

    limit: timedelta
    queue: str = QUEUE
    beats: bool = True


_LOOK = Timing(timedelta(minutes=10))
"""Reading and small changes: seconds, on a busy vCenter minutes."""
_CONSOLIDATION = Timing(timedelta(days=2))
"""Removing a snapshot consolidates it: hours under a busy guest (vsphere.md §3)."""
_BYTES = Timing(timedelta(days=30), TRANSFER_QUEUE)
"""A 16 TiB disk at 100 MB/s takes two days, throttled it takes weeks; liveness is the heartbeat's affair."""

ASK_AGAIN = timedelta(minutes=5)
"""A migration that waits for permits says so again: the table may have been lost, and every answer too."""
SAY_AGAIN = timedelta(hours=1)
"""One that holds permits says so that often."""
SEE_HOLDERS = timedelta(minutes=10)
"""So often it is looked whether those live that hold permits or wait for some."""

TIMINGS: dict[str, Timing] = {
    "preflight": _LOOK,
    "claim_source": _LOOK,
    "release_source": _LOOK,
    "take_approved_step": _CONSOLIDATION,
    "change_tracking_on": _CONSOLIDATION,
    "change_tracking_off": _CONSOLIDATION,
    "freeze": _CONSOLIDATION,
    "seal": _CONSOLIDATION,
    "thaw": _CONSOLIDATION,
    "power_off_source": Timing(timedelta(days=1)),
    "source_goes_off": Timing(timedelta(days=365)),
    "power_on_source": _LOOK,
    "fence_source": _LOOK,
    "unfence_source": _LOOK,
    "raise_source_epoch": _LOOK,
    "make_shell": Timing(timedelta(hours=1)),
    "remove_shell": Timing(timedelta(hours=1)),
    "snapshot_target": Timing(timedelta(hours=1)),
    "find_snapshot": _LOOK,
    "take_bases": Timing(timedelta(hours=1)),
    "drop_bases": Timing(timedelta(hours=1)),
    "diverge_target": _LOOK,
    "undiverge_target": _LOOK,
    "unblock_target": _LOOK,
    "block_target": _LOOK,
    "start_target": Timing(timedelta(hours=1)),
    "stop_target": Timing(timedelta(hours=1)),
    "raise_target_epoch": _LOOK,
    "finish_target": Timing(timedelta(hours=1)),
    "copy_disk": _BYTES,
    "prove_target": _BYTES,
    "prove_source": _BYTES,
    "prove_by_checksum": _BYTES,
    "append_record": _LOOK,
    "read_record": Timing(timedelta(minutes=2)),
    "find_leftovers": _LOOK,
    "remove_leftover": _CONSOLIDATION,
    "next_window": Timing(timedelta(minutes=1), beats=False),
    "smoke_target": Timing(timedelta(days=1)),
    "make_test": Timing(timedelta(hours=1)),
    "start_test": Timing(timedelta(hours=1)),
    "drop_test": Timing(timedelta(hours=1)),
    "move_disks": Timing(timedelta(days=7)),
    "see_source_off": _LOOK,
    "retire_source": _LOOK,
    "remove_source": _LOOK,
    "reboot_target": Timing(timedelta(hours=1)),
    "inspect": Timing(timedelta(minutes=2)),
    "find_machines": _LOOK,
    "assess_machines": _LOOK,
    "ask_for_permits": Timing(timedelta(minutes=1), beats=False),
    "see_holders": Timing(timedelta(minutes=10)),
}
