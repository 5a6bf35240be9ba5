"""Sizes as people write them: ``16777216``, ``16MiB``, ``8GiB``; printed in binary units."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_UNITS = {"": 1, "k": 10, "m": 20, "g": 30, "t": 40}
_SIZE = re.compile(r"(\d+)\s*([kmgt]?)i?b?", re.IGNORECASE)


def parse_size(value: Any) -> Any:
    """Turn ``16MiB`` into bytes; K, M, G, T are powers of 1024. Plain numbers are bytes."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        number, unit = int(match[1]), match[2].lower()
        return number << _UNITS[unit] if unit else number
    return value


def spoken_size(size: float) -> str:
    """``1.9 TiB``, ``256.0 MiB``, ``512 B``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


Size = Annotated[int, BeforeValidator(parse_size)]
