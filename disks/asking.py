"""Requests that were sent before anybody reads their answers: a connection for each, in the order of asking."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Line = TypeVar("Line")


class Asked(Generic[Line]):
    """Connections on which an answer is on its way, by what was asked for.

    Args:
        close: hangs one up; must not raise.
        most: of them at once; past that the oldest is hung up: what nobody came to read is not wanted.
    """

    def __init__(self, close: Callable[[Line], None], most: int) -> None:
        self._close, self._most = close, most
        self._lock = threading.Lock()
        self._lines: OrderedDict[tuple[int, int], Line] = OrderedDict()

    def put(self, offset: int, length: int, line: Line) -> None:
        """Note what was asked for on a connection."""
        with self._lock:
            older = self._lines.pop((offset, length), None)
            if older is None and len(self._lines) >= self._most:
                _, older = self._lines.popitem(last=False)
            self._lines[(offset, length)] = line
        if older is not None:
            self._close(older)

    def take(self, offset: int, length: int) -> Line | None:
        """The connection on which exactly that comes; None where nobody asked."""
        with self._lock:
            return self._lines.pop((offset, length), None)

    def drop(self) -> None:
        """Nobody will read them."""
        with self._lock:
            lines, self._lines = list(self._lines.values()), OrderedDict()
        for each in lines:
            self._close(each)
