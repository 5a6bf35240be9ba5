"""Who gets permits next: all that are asked for or none, fair between fleets, and nobody waits for ever. Pure.

The one that waits longest comes first: of what it needs and cannot have yet, one is kept for it. All others come by
turns, that fleet first which holds least; a migration without a fleet is a fleet of its own. Within a fleet, in the
order in which they asked, but one that waits for one resource keeps nobody from another.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from datetime import datetime

from contracts.capacity import Ask, CapacityState, CapacityStatus, Held, HolderTold, Release, ResourceUse

MOST_WAITING = 5000
"""More are not noted: who is not granted anything asks again."""
MOST_TOLD = 500


class Permits:
    """The table: who waits, in the order in which they asked, and who holds."""

    def __init__(self, state: CapacityState) -> None:
        self.limits, self.waiting, self.holding = dict(state.limits), dict(state.waiting), dict(state.holding)
        self._used = Counter[str](each for held in self.holding.values() for each in held.ask.limits)
        self._by_fleet = Counter[str](_fleet(held.ask) for held in self.holding.values())

    def carried(self, runs: int) -> CapacityState:
        """For the next run."""
        return CapacityState(limits=self.limits, waiting=self.waiting, holding=self.holding, runs=runs)

    def ask(self, ask: Ask, now: datetime) -> bool:
        """Note a wish; asked again it keeps its place. True: it has been granted already, and should be told again."""
        self.limits |= ask.limits
        held = self.holding.get(ask.holder)
        if held is not None:
            same = held.ask.run == ask.run
            if same and held.ask.number == ask.number and held.ask.limits.keys() == ask.limits.keys():
                return not ask.holds
            if same and held.ask.number > ask.number:
                return False  # of a wish that is over: it came late
            self._give_back(ask.holder)
        waits = self.waiting.get(ask.holder)
        if ask.holds:  # it has them from a table that was lost: it works with them, whatever the limits say
            self.waiting.pop(ask.holder, None)
            self._seat(ask, now)
            return False
        if waits is not None and waits.ask.run == ask.run and waits.ask.number > ask.number:
            return False
        if waits is not None:
            self.waiting[ask.holder] = Held(ask=ask, since=waits.since)
        elif len(self.waiting) < MOST_WAITING:
            self.waiting[ask.holder] = Held(ask=ask, since=now)
        return False

    def release(self, said: Release) -> None:
        """Of that wish or an older one; again and again."""
        waits, held = self.waiting.get(said.holder), self.holding.get(said.holder)
        if waits is not None and waits.ask.run == said.run and waits.ask.number <= said.number:
            del self.waiting[said.holder]
        if held is not None and held.ask.run == said.run and held.ask.number <= said.number:
            self._give_back(said.holder)

    def forget(self, holder: str, run: str) -> None:
        """It is gone; another run of it is not."""
        if holder in self.waiting and self.waiting[holder].ask.run == run:
            del self.waiting[holder]
        if holder in self.holding and self.holding[holder].ask.run == run:
            self._give_back(holder)

    def grant(self, now: datetime) -> list[Ask]:
        """Give what can be given; each of these is to be told."""
        given: list[Ask] = []
        kept: set[str] = set()
        for number, ask in enumerate(self._in_turn()):
            short = [each for each in ask.limits if self._free(each) - (each in kept) <= 0]
            if not short:
                del self.waiting[ask.holder]
                self._seat(ask, now)
                given.append(ask)
            elif number == 0 and all(self.limits[each] for each in ask.limits):
                kept.update(ask.limits)  # one of each: what is closed for good closes nothing else
        return given

    @property
    def used(self) -> Mapping[str, int]:
        """By resource, how many are held."""
        return self._used

    def short(self) -> tuple[str, ...]:
        """Resources of which all are held, and that somebody waits for."""
        wanted = dict.fromkeys(each for held in self.waiting.values() for each in held.ask.limits)
        return tuple(each for each in wanted if self._free(each) <= 0)

    def status(self) -> CapacityStatus:
        """As people are told; the first of each kind."""
        wanted = Counter(each for held in self.waiting.values() for each in held.ask.limits)
        known = sorted(each for each in self.limits if self._used[each] or wanted[each])
        first = next(iter(self.waiting), "")
        return CapacityStatus(
            resources={each: ResourceUse(limit=self.limits[each], held=self._used[each], waited_for=wanted[each])
                       for each in known},
            holding=tuple(_told(held) for held in list(self.holding.values())[:MOST_TOLD]),
            waiting=tuple(_told(held, self._why(held.ask, first)) for held in list(self.waiting.values())[:MOST_TOLD]),
            holders=len(self.holding), waiters=len(self.waiting),
        )  # fmt: skip

    def why(self, holder: str) -> str:
        """What one of those that wait waits for."""
        return self._why(self.waiting[holder].ask, next(iter(self.waiting)))

    def _why(self, ask: Ask, first: str) -> str:
        full = [f"{each} ({self._used[each]} of {self.limits[each]})" for each in ask.limits if self._free(each) <= 0]
        if full:
            return f"full: {', '.join(full)}"
        if ask.holder != first and first in self.waiting:
            common = ask.limits.keys() & self.waiting[first].ask.limits.keys()
            last = sorted(each for each in common if self._free(each) == 1)
            if last:
                return f"the last of {', '.join(last)} is kept for {first}, which waits longest"
        return "its turn comes"

    def _free(self, resource: str) -> int:
        return self.limits[resource] - self._used[resource]

    def _seat(self, ask: Ask, now: datetime) -> None:
        self.holding[ask.holder] = Held(ask=ask, since=now)
        self._used.update(ask.limits.keys())
        self._by_fleet[_fleet(ask)] += 1

    def _give_back(self, holder: str) -> None:
        ask = self.holding.pop(holder).ask
        self._used.subtract(ask.limits.keys())
        for each in ask.limits:
            if not self._used[each]:
                del self._used[each]
        self._by_fleet[_fleet(ask)] -= 1
        if not self._by_fleet[_fleet(ask)]:
            del self._by_fleet[_fleet(ask)]

    def _in_turn(self) -> Iterator[Ask]:
        """The one that waits longest; then by fleets, that which holds least first."""
        everybody = [held.ask for held in self.waiting.values()]
        if not everybody:
            return
        yield everybody[0]
        lines: dict[str, deque[Ask]] = {}
        for ask in everybody[1:]:
            lines.setdefault(_fleet(ask), deque()).append(ask)
        turns = [(self._by_fleet[fleet], number, fleet) for number, fleet in enumerate(lines)]
        heapq.heapify(turns)
        while turns:
            _, number, fleet = heapq.heappop(turns)
            yield lines[fleet].popleft()
            if lines[fleet]:
                heapq.heappush(turns, (self._by_fleet[fleet], number, fleet))


def _fleet(ask: Ask) -> str:
    return ask.fleet or ask.holder


def _told(held: Held, why: str = "") -> HolderTold:
    ask = held.ask
    return HolderTold(
        holder=ask.holder, fleet=ask.fleet, what=ask.what, resources=tuple(ask.limits), since=held.since, why=why
    )
