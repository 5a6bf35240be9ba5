"""Durations as people write them: ``90``, ``15m``, ``2h30m``, ``1d``, ISO 8601 ``PT15M``."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_SPOKEN = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])")


def parse_duration(value: Any) -> Any:
    """Turn ``15m``, ``2h30m`` or plain seconds into a timedelta; leave the rest (ISO 8601) to pydantic.

    Raises:
        ValueError: negative, or not a duration.
    """
    if isinstance(value, bool):
        raise ValueError("a duration is written 15m, 2h, PT15M or as seconds")
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError("a duration cannot be negative")
        return timedelta(seconds=value)
    if isinstance(value, str):
        text = value.strip().lower()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return timedelta(seconds=float(text))
        if _SPOKEN.fullmatch(text):
            return timedelta(seconds=sum(float(n) * _UNITS[u] for n, u in _PART.findall(text)))
    return value


def spoken(duration: timedelta) -> str:
    """``1h 5m``, ``42s``, ``0.4s``: at most two units, as an operator reads it."""
    seconds = duration.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f}s"
    parts: list[str] = []
    rest = round(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
