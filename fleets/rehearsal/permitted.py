"""Permits on paper: the table that the workflow keeps decides here too, and who gets some goes on at once."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from contracts.capacity import Ask, CapacityState, Release
from fleets.permits import Permits

What = Literal["copy", "cutover"]


class PaperPermits:
    """Of one fleet.

    Attributes:
        most: by resource, the most that were held at once.
        short: by resource, the seconds in which somebody waited for it while all of it was held.
    """

    def __init__(self, limits: Mapping[str, int], moment: Callable[[], datetime]) -> None:
        self.limits, self._moment = limits, moment
        self._table = Permits(CapacityState())
        self._then: dict[str, Callable[[], None]] = {}
        self._number = Counter[str]()
        self.most = Counter[str]()
        self.short: dict[str, float] = defaultdict(float)
        self._short_now: tuple[str, ...] = ()
        self._since: datetime | None = None

    def ask(self, vm: str, what: What, needs: tuple[str, ...], then: Callable[[], None]) -> None:
        """All that are limited of what it needs, or none; ``then`` comes as soon as it has them."""
        limits = {each: self.limits[each] for each in needs if each in self.limits}
        if not limits:
            then()
            return
        self._number[vm] += 1
        self._then[vm] = then
        self._table.ask(Ask(holder=vm, number=self._number[vm], fleet="f", what=what, limits=limits), self._moment())
        self._grant()

    def give_back(self, vm: str) -> None:
        """What it holds, or the wish for it."""
        if not self._number[vm]:
            return
        self._then.pop(vm, None)
        self._table.release(Release(holder=vm, number=self._number[vm]))
        self._grant()

    def waits(self, vm: str) -> bool:
        """Whether it asked and has none yet."""
        return vm in self._then

    def why(self, vm: str) -> str:
        """What it waits for; empty: it waits for none."""
        return f"waits for permits, {self._table.why(vm)}" if self.waits(vm) else ""

    def settle(self) -> None:
        """Count what was short until now."""
        now = self._moment()
        if self._since is not None:
            for each in self._short_now:
                self.short[each] += (now - self._since).total_seconds()
        self._since = now

    def _grant(self) -> None:
        self.settle()
        given = [ask.holder for ask in self._table.grant(self._moment())]
        for name, count in self._table.used.items():
            self.most[name] = max(self.most[name], count)
        self._short_now = self._table.short()
        for vm in given:
            self._then.pop(vm)()
