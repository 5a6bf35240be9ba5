"""One pass as it is told: its kind, its bytes, and what read the disks and why. Pure."""

from contracts.migration import PassSummary
from contracts.steps import CopyReport, SealReport, ShellDisk


def summary_of(
    number: int,
    copies: list[CopyReport],
    sealed: SealReport,
    *,
    seconds: float,
    complete: bool,
    disks: tuple[ShellDisk, ...],
    before: tuple[PassSummary, ...],
) -> PassSummary:
    """What the copies of all disks come to.

    Args:
        complete: every disk's part is on the target; it counts where the freeze held.
        disks: those of the shell.
        before: the passes before it, whose reasons are not told again.
    """
    kinds = {copy.kind for copy in copies if copy.disk_id}
    return PassSummary(
        pass_no=number,
        kind=next(kind for kind in ("full", "compare", "initial", "delta") if kind in kinds or kind == "delta"),
        bytes_sent=sum(copy.bytes_sent for copy in copies),
        bytes_sent_again=sum(copy.bytes_sent_again for copy in copies),
        bytes_planned=sum(copy.bytes_planned for copy in copies),
        seconds=seconds,
        complete=complete and not sealed.void,
        rewritten=sealed.rewritten,
        reason=sealed.reason or "; ".join(sorted({copy.reason for copy in copies if copy.reason})),
        **_read_by(copies, disks, before),
    )


def _read_by(copies: list[CopyReport], disks: tuple[ShellDisk, ...], before: tuple[PassSummary, ...]) -> dict[str, str]:
    """The transports of a pass and why, told per disk where they differ; the reasons only when they change."""
    slots = {disk.disk_id: disk.slot for disk in disks}
    used = {slots[copy.disk_id]: copy for copy in copies if copy.disk_id in slots and copy.transport}

    def told(values: dict[str, str]) -> str:
        each = set(values.values())
        return "; ".join(f"{slot}: {value}" for slot, value in values.items()) if len(each) > 1 else "".join(each)

    reason = told({slot: copy.transport_reason for slot, copy in used.items()})
    last = next((each.transport_reason for each in reversed(before) if each.transport_reason), "")
    return {
        "transport": told({slot: copy.transport for slot, copy in used.items()}),
        "transport_reason": "" if reason == last else reason,
    }
