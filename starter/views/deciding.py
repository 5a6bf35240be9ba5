"""Who said yes, until when it counts, and when the cutover may be."""

from datetime import datetime, timedelta

from contracts.durations import spoken
from contracts.told import Status


def decided(status: Status, now: datetime) -> list[str]:
    """A line each; none where nobody has said anything and no window is set."""
    lines = [_yes(each.who, each.expires_at, each.max_downtime_s, now) for each in status.approvals]
    if status.approved_by and not status.approvals:
        lines.append(f"approved by {status.approved_by}")
    missing = status.quorum - len(status.approvals)
    if status.quorum > 1 and not status.approved_by:
        lines.append(f"approvals: {len(status.approvals)} of {status.quorum}, needs {_more(missing)}")
    if status.window is not None and status.started_at is None:
        opens, closes = status.window.opens, status.window.closes
        if now < opens:
            lines.append(f"window opens {_clock(opens)} (in {spoken(opens - now)}), closes {_clock(closes)}")
        elif now < closes:
            lines.append(f"window is open until {_clock(closes)} (for {spoken(closes - now)} more)")
    if status.overruns:
        lines.append(f"cutovers undone since they took too long: {status.overruns}")
    return lines


def _yes(who: str, expires: datetime | None, most: float | None, now: datetime) -> str:
    told = f"approved by {who}"
    if most is not None:
        told += f", for a downtime of {spoken(timedelta(seconds=most))} at most"
    if expires is not None:
        told += f", expires {_clock(expires)} (in {spoken(max(timedelta(0), expires - now))})"
    return told


def _more(count: int) -> str:
    return "one more" if count == 1 else f"{count} more"


def _clock(at: datetime) -> str:
    return at.astimezone().strftime("%a %Y-%m-%d %H:%M %Z").strip()
