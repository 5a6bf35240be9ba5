"""How fast a fleet goes, and when all of it will have been copied, as a range. Pure."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from statistics import quantiles

from contracts.fleet import Standing
from contracts.fleet_rows import MemberRow


@dataclass(frozen=True)
class Pace:
    """``copied_in``: seconds until all are copied once, at best and at worst; None: nothing to tell it from."""

    rate: float = 0.0
    bytes_sent: int = 0
    bytes_total: int = 0
    copied: int = 0
    left: int = 0
    copied_in: tuple[float, float] | None = None


def pace_of(rows: Iterable[MemberRow], *, at_once: int, now: datetime) -> Pace:
    """From the first copies that are through: the middle half of what they took, times those that are left, by turns.

    It says nothing of approvals and windows: when people say yes, nobody can reckon.
    """
    rows = [row for row in rows if row.standing not in (Standing.CANCELLED, Standing.SKIPPED, Standing.FAILED)]
    took = [
        (row.copied - row.began).total_seconds() for row in rows if row.copied is not None and row.began is not None
    ]
    left = [row for row in rows if row.copied is None]
    running = [(now - row.began).total_seconds() for row in left if row.began is not None]
    within: tuple[float, float] | None = None
    if not left:
        within = (0.0, 0.0)
    elif took:
        low, high = took[0], took[0]
        with suppress(ValueError):
            low, _, high = quantiles(took, n=4, method="inclusive") if len(took) > 1 else (low, low, high)
        within = (_until(low, len(left), running, at_once), _until(high, len(left), running, at_once))
    return Pace(
        rate=sum(row.rate for row in left if row.standing == Standing.RUNNING),
        bytes_sent=sum(row.bytes_sent for row in rows), bytes_total=sum(row.bytes_total for row in rows),
        copied=len(rows) - len(left), left=len(left), copied_in=within,
    )  # fmt: skip


def _until(each: float, left: int, running: list[float], at_once: int) -> float:
    """Seconds: the work that is left over the turns there are, and at least one whole copy for who has not begun."""
    work = each * left - sum(min(each, spent) for spent in running)
    longest = each if left > len(running) else max((max(0.0, each - spent) for spent in running), default=0.0)
    return max(longest, work / max(1, min(at_once, left)))
