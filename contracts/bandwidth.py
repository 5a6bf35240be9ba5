"""A limit of bandwidth as people write it: ``50M``, ``off``, or ``08:00,50M 19:00,off``, as rclone has it.

Bytes a second, K, M and G being powers of 1024. The clock is the worker's; a day of the week may stand before a time:
``Mon-08:00,50M Fri-19:00,off``. Each entry holds until the next, around the week.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator

from contracts.sizes import parse_size

LEAST = 64 << 10
"""Bytes a second: less, and a piece of a disk takes so long that the pool hangs up."""
MOST_TEXT = 500
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ENTRY = re.compile(r"(?:([A-Za-z]{3})-)?(\d{1,2}):(\d{2}),(\S+)")
_DAY = 24 * 60


@dataclass(frozen=True)
class Timetable:
    """``entries``: minutes since Monday 0:00, ascending, and the limit from then on; None is none."""

    entries: tuple[tuple[int, int | None], ...] = ()

    def least_in_a_day(self) -> int | None:
        """Bytes that pass in the worst 24 hours; None where every 24 hours have a time without a limit."""
        if not self.entries:
            return None
        monday = datetime(2024, 1, 1)
        minutes = [self.at(monday + timedelta(minutes=minute)) for minute in range(7 * _DAY)]
        worst: int | None = None
        passed, unlimited = 0, 0
        for minute in range(8 * _DAY):  # the window ends here; the week goes round
            came = minutes[minute % len(minutes)]
            passed, unlimited = passed + (came or 0) * 60, unlimited + (came is None)
            if minute >= _DAY:
                went = minutes[(minute - _DAY) % len(minutes)]
                passed, unlimited = passed - (went or 0) * 60, unlimited - (went is None)
            if minute >= _DAY - 1 and not unlimited:
                worst = passed if worst is None else min(worst, passed)
        return worst

    def at(self, now: datetime) -> int | None:
        """Bytes a second at that time; None where there is no limit."""
        if not self.entries:
            return None
        minute = now.weekday() * _DAY + now.hour * 60 + now.minute
        found = self.entries[-1][1]  # before the week's first entry, its last one still holds
        for start, limit in self.entries:
            if start > minute:
                break
            found = limit
        return found


def parse_bandwidth(text: str) -> Timetable:
    """Raises ValueError, which says what was not understood."""
    words = text.split()
    if len(text) > MOST_TEXT:
        raise ValueError(f"a limit of {len(text)} characters: {MOST_TEXT} are enough")
    if not words:
        return Timetable()
    if len(words) == 1 and "," not in words[0]:
        return Timetable(((0, _limit(words[0])),))
    entries: dict[int, int | None] = {}
    for word in words:
        match = _ENTRY.fullmatch(word)
        if match is None or int(match[2]) > 23 or int(match[3]) > 59:
            raise ValueError(f"{word!r} is no time and limit: write 08:00,50M or Mon-08:00,50M")
        day, minute = (match[1] or "").lower(), int(match[2]) * 60 + int(match[3])
        if day and day not in _DAYS:
            raise ValueError(f"{match[1]!r} is no day of the week: write Mon, Tue, Wed, Thu, Fri, Sat or Sun")
        for number in [_DAYS.index(day)] if day else range(7):
            entries[number * _DAY + minute] = _limit(match[4])
    return Timetable(tuple(sorted(entries.items())))


def _limit(word: str) -> int | None:
    if word.lower() == "off":
        return None
    size = parse_size(word)
    if not isinstance(size, int):
        if not word.isdigit():
            raise ValueError(f"{word!r} is no limit: write 50M for 50 MiB a second, or off")
        size = int(word)
    if size < LEAST:
        raise ValueError(f"{word!r} is less than {LEAST >> 10}K a second; to stop the copying, pause the migration")
    return size


def _checked(text: str) -> str:
    parse_bandwidth(text)
    return text


Bandwidth = Annotated[str, AfterValidator(_checked)]
