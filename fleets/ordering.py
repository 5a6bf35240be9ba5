"""What a fleet does next: who begins, who is said yes to. Pure: the same state, the same answer."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush

from contracts.fleet import ENDED, Member, MemberState, MigrateFleetRequest, Standing, Wave

RULE = "approval: auto"
"""Who said yes, where nobody did."""
BATCH = 100
"""Of each kind, at most, in one turn: a workflow task stays short."""


@dataclass(frozen=True)
class Deed:
    """What is due. ``begin``: members to start; ``say_yes``: members whose yes is to be sent; ``rule_yes``: members of
    waves that ask nobody; ``pause``: why the fleet stops itself."""

    begin: tuple[str, ...] = ()
    say_yes: tuple[str, ...] = ()
    rule_yes: tuple[str, ...] = ()
    pause: str = ""


class Fleet:
    """The request and what is known of its members, in the order of their waves.

    What is asked for at every turn is counted along as members change (:meth:`put`), so that a turn costs what it
    does, not what the fleet is.
    """

    def __init__(
        self,
        request: MigrateFleetRequest,
        members: Mapping[str, MemberState],
        added: tuple[Member, ...] = (),
        *,
        paused: bool = False,
        failures: int = 0,
        cancelled: bool = False,
    ) -> None:
        self.request, self.paused, self.failures, self.cancelled = request, paused, failures, cancelled
        self._waves = {wave.name: number for number, wave in enumerate(request.waves)}
        everybody = [*request.members, *added]
        everybody.sort(key=lambda member: self._waves.get(member.wave, 0))  # stable: else as they were written
        self._members = {member.vm: member for member in everybody}
        self._place = {member.vm: number for number, member in enumerate(everybody)}
        self._by_place = [member.vm for member in everybody]
        self._states: dict[str, MemberState] = {}
        self._waiting: list[int] = []
        self._counts = Counter[str]()
        self._open = [0] * len(request.waves)
        self._unsent: list[set[str]] = [set() for _ in request.waves]
        self._asks: set[str] = set()
        for member in everybody:
            self.put(member.vm, members.get(member.vm, MemberState()))

    def put(self, vm: str, state: MemberState) -> None:
        """What is known of one now."""
        before, wave = self._states.get(vm), self._waves.get(self._members[vm].wave, 0)
        if before is not None:
            self._count(vm, before, wave, -1)
        self._states[vm] = state
        self._count(vm, state, wave, 1)

    def _count(self, vm: str, state: MemberState, wave: int, one: int) -> None:
        standing, counts = state.standing, self._counts
        counts[standing.value] += one
        counts["ended"] += one * (standing in ENDED)
        self._open[wave] += one * (not state.through)
        if standing is Standing.WAITING and one > 0:
            heappush(self._waiting, self._place[vm])
        if standing is not Standing.RUNNING:
            return
        counts["copying"] += one * state.copying
        counts["cutting_over"] += one * state.cutting_over
        unsent = state.yes is not None and not state.yes.sent
        (self._unsent[wave].add if unsent and one > 0 else self._unsent[wave].discard)(vm)
        (self._asks.add if state.asks and one > 0 else self._asks.discard)(vm)

    def wave(self, member: Member) -> Wave:
        """Whose it is."""
        return self.request.waves[self._waves.get(member.wave, 0)]

    def member(self, vm: str) -> Member:
        """As it was asked for."""
        return self._members[vm]

    def state(self, vm: str) -> MemberState:
        """What is known of it."""
        return self._states[vm]

    def all(self) -> Iterator[tuple[Member, MemberState]]:
        """In order."""
        for vm, member in self._members.items():
            yield member, self._states[vm]

    @property
    def over(self) -> bool:
        """Whether no member is owed anything; a fleet that is cancelled waits for those that run."""
        counts, idle = self._counts, Standing.WAITING.value if self.cancelled else ""
        return counts["ended"] + counts[idle] == len(self._members)

    @property
    def copying(self) -> int:
        """Turns that first copies take."""
        return self._counts["copying"]

    @property
    def cutting_over(self) -> int:
        """Turns that cutovers take."""
        return self._counts["cutting_over"]

    def deed(self) -> Deed:
        """What is due now.

        Members begin in the order of their waves, as turns are free: those of a later wave are copied while an earlier
        one waits, and those that wait for a window with their yes keep nobody from being copied. A yes is sent once all
        that a member comes after are through and the waves before its own as well, as turns of cutovers are free; who
        waits longest for that comes first.
        """
        if self.cancelled:
            return Deed()
        budget = self.request.failure_budget
        if not self.paused and budget is not None and self.failures > budget:
            return Deed(pause=f"fleet.budget_spent: {self.failures} failed, and the budget is {budget}")
        if self.paused:
            return Deed()
        most = self.request.at_once
        return Deed(
            begin=self._begin(most - self.copying),
            say_yes=self._say_yes(most - self.cutting_over),
            rule_yes=self._rule_yes(),
        )

    def waits_for(self, member: Member) -> str:
        """Why its yes is not sent; empty: nothing holds it."""
        if told := self._comes_after(member):
            return told
        for number in range(self._waves.get(member.wave, 0)):
            if self._open[number]:
                return f"wave {self.request.waves[number].name}, of which {self._open[number]} have not ended"
        return ""

    def asks_a_person(self, vm: str) -> bool:
        """Whether it waits for somebody's yes: where the rule will give it, it waits for the fleet alone."""
        return self._states[vm].asks and not self._by_rule(vm)

    def _comes_after(self, member: Member) -> str:
        for name in member.after:
            state = self._states[name]
            if state.standing in (Standing.FAILED, Standing.CANCELLED) or not state.through:  # who skips one saw to it
                return f"{name}, which is {state.standing.value}"
        return ""

    def _rule_yes(self) -> tuple[str, ...]:
        """A person's no to one of them outranks the rule: then it takes a person's yes."""
        found = [vm for vm in sorted(self._asks, key=self._place.__getitem__) if self._by_rule(vm)]
        return tuple(found[:BATCH])

    def _by_rule(self, vm: str) -> bool:
        told = self._states[vm].told
        return told is not None and not told.refused and self.wave(self._members[vm]).approval == "auto"

    def _say_yes(self, turns: int) -> tuple[str, ...]:
        if turns <= 0:
            return ()
        due: list[tuple[datetime, int]] = []
        for number, unsent in enumerate(self._unsent):
            for vm in unsent:
                yes = self._states[vm].yes
                if yes is not None and not self._comes_after(self._members[vm]):
                    due.append((yes.at, self._place[vm]))
            if self._open[number]:
                break  # the waves after it wait for it
        due.sort()
        return tuple(self._by_place[place] for _, place in due[: min(turns, BATCH)])

    def _begin(self, turns: int) -> tuple[str, ...]:
        found: list[int] = []
        while self._waiting and len(found) < min(turns, BATCH):
            place = heappop(self._waiting)
            if self._states[self._by_place[place]].standing is Standing.WAITING and (not found or place != found[-1]):
                found.append(place)
        for place in found:  # to ask is not to do it
            heappush(self._waiting, place)
        return tuple(self._by_place[place] for place in found)
