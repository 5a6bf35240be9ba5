"""Windows for the cutover as people write them, and which is next.

``Sat 22:00-02:00 Europe/Berlin``, ``Mon-Thu 20:00-06:00 Europe/Berlin``, ``Fri 22:00-Mon 04:00 Europe/Berlin``,
``daily 01:00-05:00 UTC``: every week. ``2026-12-05 22:00/2026-12-06 04:00 Europe/Berlin``: once. Several are parted by
``;``. A time zone must be said: whose 22:00 it is, nobody shall have to guess.

A window is never longer than it was meant. Where the clocks go back, an opening in the hour that comes twice is the
second one, a closing the first; where they go forward, a time that there is not opens late and closes early.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator

from contracts.base import Contract

MOST_WINDOWS = 50
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = timedelta(days=7)
_YEARS = range(1970, 3000)
"""Far from where a moment in another time zone is none any more."""
_AHEAD = 5
"""Weeks that are looked through: one or two openings in a row may fall into an hour that there is not."""
_DATE = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"\d{1,2}:\d{2}"
_ONCE = re.compile(rf"({_DATE})[ T]({_CLOCK})\s*[/–-]\s*(?:({_DATE})[ T])?({_CLOCK})\s+(\S+)")
_WEEKLY = re.compile(
    rf"([A-Za-z]{{3,5}}(?:[,-][A-Za-z]{{3}})*)\s+({_CLOCK})\s*[–-]\s*(?:([A-Za-z]{{3}})\s+)?({_CLOCK})\s+(\S+)"
)
_HELP = "write 'Sat 22:00-02:00 Europe/Berlin' or '2026-12-05 22:00/2026-12-06 04:00 Europe/Berlin'"


class Opening(Contract):
    """From ``opens`` on, and before ``closes``; both in UTC."""

    opens: datetime
    closes: datetime


@dataclass(frozen=True)
class Once:
    """One window on the wall's clock."""

    begin: datetime
    end: datetime
    zone: ZoneInfo


@dataclass(frozen=True)
class Weekly:
    """``days``: 0 is Monday. ``length``: on the wall, so that 22:00-06:00 ends at 06:00 whatever the clocks do."""

    days: tuple[int, ...]
    begin: time
    length: timedelta
    zone: ZoneInfo


def parse_window(text: str) -> Once | Weekly:
    """Raises ValueError, which says what was not understood."""
    said = " ".join(text.split())
    if once := _ONCE.fullmatch(said):
        begin = _at(once[1], once[2])
        end = _at(once[3] or once[1], once[4])
        if end <= begin and not once[3]:
            end += timedelta(days=1)
        if end <= begin:
            raise ValueError(f"{said!r} ends before it begins")
        return Once(begin, end, _zone(once[5]))
    if weekly := _WEEKLY.fullmatch(said):
        days, (begin_minute, end_minute) = _days(weekly[1]), (_minute(weekly[2]), _minute(weekly[4]))
        if begin_minute == 24 * 60:
            raise ValueError(f"{said!r} begins at 24:00: write 00:00 and the next day")
        apart = 0
        if weekly[3]:
            if len(days) != 1:
                raise ValueError(f"{said!r} has several days to begin and one to end: write a window for each")
            apart = (_day(weekly[3]) - days[0]) % 7
        length = timedelta(days=apart, minutes=end_minute - begin_minute)
        if length <= timedelta(0):
            length += _WEEK if weekly[3] else timedelta(days=1)
        if begin_minute == end_minute and not weekly[3]:
            raise ValueError(f"{said!r} begins and ends at the same time: write 00:00-24:00 for a whole day")
        return Weekly(days, time(begin_minute // 60, begin_minute % 60), length, _zone(weekly[5]))
    raise ValueError(f"{said!r} is no window: {_HELP}")


def parse_windows(value: Any) -> Any:
    """One string, with ``;`` between several, or a list, as a tuple of strings, each of which was understood."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = value.split(";")
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError(_HELP)
    texts = tuple(" ".join(each.split()) for each in value if each.strip())
    if value and not texts:  # a script's variable that was not set: what was to be bounded would be free
        raise ValueError(f"an empty window: {_HELP}, or an empty list for any time")
    if len(texts) > MOST_WINDOWS:
        raise ValueError(f"{len(texts)} windows: {MOST_WINDOWS} are the most")
    for text in texts:
        parse_window(text)
    return texts


def next_window(texts: tuple[str, ...], after: datetime) -> Opening | None:
    """The window that is open at that time, else the first that opens later; None when all are over.

    Windows that touch or overlap are one.

    Args:
        after: with a time zone.
    """
    found = sorted(
        (opening for text in texts for opening in _openings(parse_window(text), after)), key=lambda each: each.opens
    )
    joined: list[Opening] = []
    for each in found:
        if joined and each.opens <= joined[-1].closes:
            joined[-1] = Opening(opens=joined[-1].opens, closes=max(joined[-1].closes, each.closes))
        else:
            joined.append(each)
    return next((each for each in joined if each.closes > after), None)


def _openings(window: Once | Weekly, after: datetime) -> Iterator[Opening]:
    for begin, end in _on_the_wall(window, after):
        opening = Opening(opens=max(_instants(begin, window.zone)), closes=min(_instants(end, window.zone)))
        if opening.opens < opening.closes:
            yield opening


def _on_the_wall(window: Once | Weekly, after: datetime) -> Iterator[tuple[datetime, datetime]]:
    if isinstance(window, Once):
        yield window.begin, window.end
        return
    local = after.astimezone(window.zone).date()
    monday = local - timedelta(days=local.weekday())
    for week in range(-2, _AHEAD):
        for day in window.days:
            begin = datetime.combine(monday + week * _WEEK + timedelta(days=day), window.begin)
            yield begin, begin + window.length


def _instants(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Both readings of a time that comes twice, or that there is not; else twice the same."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return first, wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _at(day: str, clock: str) -> datetime:
    try:
        at = date.fromisoformat(day)
        if at.year not in _YEARS:
            raise ValueError(f"the year is not one of {_YEARS[0]} to {_YEARS[-1]}")
        return datetime.combine(at, time()) + timedelta(minutes=_minute(clock))
    except ValueError as error:
        raise ValueError(f"{day} {clock}: {error}") from None


def _minute(clock: str) -> int:
    hour, minute = map(int, clock.split(":"))
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        raise ValueError(f"{clock!r} is no time of the day")
    return hour * 60 + minute


def _days(text: str) -> tuple[int, ...]:
    if text.lower() == "daily":
        return tuple(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, is_range, last = part.partition("-")
        begin, end = _day(first), _day(last) if is_range else _day(first)
        days |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return tuple(sorted(days))


def _day(name: str) -> int:
    if name.lower() not in _DAYS:
        raise ValueError(f"{name!r} is no day of the week: write Mon, Tue, Wed, Thu, Fri, Sat or Sun, or daily")
    return _DAYS.index(name.lower())


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone: write one such as Europe/Berlin or UTC") from None


Windows = Annotated[tuple[str, ...], BeforeValidator(parse_windows)]
