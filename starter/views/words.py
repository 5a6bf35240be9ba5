"""Sizes, times and bars as people read them; unknown is a dash."""

from datetime import UTC, datetime, timedelta

from contracts.durations import spoken
from contracts.sizes import spoken_size

DASH = "–"
BAR = 24
"""Columns of a bar where there is room."""


def size(value: int | float | None) -> str:
    """``256.0 MiB``."""
    return DASH if value is None else spoken_size(value)


def rate(value: float) -> str:
    """``81.2 MiB/s``."""
    return f"{spoken_size(value)}/s" if value > 0 else DASH


def seconds(value: float | None) -> str:
    """``1m 5s``."""
    return DASH if value is None else spoken(timedelta(seconds=value))


def clock(value: datetime | None) -> str:
    """Local time, to the second."""
    return DASH if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(value: datetime | None) -> str:
    """``5m 3s ago``."""
    if value is None:
        return DASH
    return f"{spoken(max(timedelta(0), datetime.now(UTC) - value))} ago"


def share(done: int, total: int) -> str:
    """``42 %``; never 100 before it is."""
    if total <= 0:
        return DASH
    return "100 %" if done >= total else f"{min(99, done * 100 // total)} %"


def bar(done: int, total: int, width: int = BAR) -> str:
    """Filled by tenths of a cell's worth of progress."""
    filled = 0 if total <= 0 else min(width, done * width // total)
    return "█" * filled + "░" * (width - filled)
