"""What a fleet does next: who begins, who is said yes to. Pure: the same state, the same answer."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from contracts.fleet import ENDED, Member, MemberState, MigrateFleetRequest, Standing, Wave, Yes

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


@dataclass
class Fleet:
    """The request and what is known of its members, in the order of their waves: one moment of it, never changed."""

    request: MigrateFleetRequest
    members: Mapping[str, MemberState]
    added: tuple[Member, ...] = ()
    paused: bool = False
    failures: int = 0
    cancelled: bool = False
    _told: dict[str, Member] = field(init=False)
    _waves: dict[str, Wave] = field(init=False)

    def __post_init__(self) -> None:
        self._waves = {wave.name: wave for wave in self.request.waves}
        place = {wave.name: number for number, wave in enumerate(self.request.waves)}
        everybody = [*self.request.members, *self.added]
        everybody.sort(key=lambda member: place[self.wave(member).name])  # stable: else as they were written
        self._told = {member.vm: member for member in everybody}

    def wave(self, member: Member) -> Wave:
        """Whose it is."""
        return self._waves.get(member.wave, self.request.waves[0])

    def all(self) -> Iterator[tuple[Member, MemberState]]:
        """In order."""
        for vm, member in self._told.items():
            yield member, self.members.get(vm, MemberState())

    @property
    def over(self) -> bool:
        """Whether no member is owed anything; a fleet that is cancelled waits for those that run."""
        return all(
            state.standing in ENDED or (self.cancelled and state.standing is Standing.WAITING)
            for _, state in self.all()
        )

    @property
    def copying(self) -> int:
        """Turns that first copies take."""
        return sum(state.copying for _, state in self.all())

    @property
    def cutting_over(self) -> int:
        """Turns that cutovers take."""
        return sum(state.cutting_over for _, state in self.all())

    def deed(self) -> Deed:
        """What is due now.

        Members begin in the order of their waves, as turns are free: those of a later wave are copied while an earlier
        one waits, and those that wait for a window with their yes keep nobody from being copied. A yes is sent once all
        that a member comes after are done and the waves before its own have ended, as turns of cutovers are free; who
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
        for name in member.after:
            standing = self.members.get(name, MemberState()).standing
            if standing not in (Standing.DONE, Standing.SKIPPED):  # who skips one has seen to it
                return f"{name}, which is {standing.value}"
        mine = self.wave(member).name
        for wave in self.request.waves:
            if wave.name == mine:
                break
            if self._open[wave.name]:
                return f"wave {wave.name}, of which {self._open[wave.name]} have not ended"
        return ""

    @cached_property
    def _open(self) -> Counter[str]:
        return Counter(self.wave(member).name for member, state in self.all() if state.standing not in ENDED)

    def _rule_yes(self) -> tuple[str, ...]:
        """A person's no to one of them outranks the rule: then it takes a person's yes."""
        found = [
            member.vm
            for member, state in self.all()
            if state.asks and state.told is not None and not state.told.refused and self.wave(member).approval == "auto"
        ]
        return tuple(found[:BATCH])

    def _say_yes(self, turns: int) -> tuple[str, ...]:
        due: list[tuple[Yes, str]] = []
        for member, state in self.all():
            yes = state.yes
            if state.standing is Standing.RUNNING and yes is not None and not yes.sent and not self.waits_for(member):
                due.append((yes, member.vm))
        due.sort(key=lambda each: each[0].at)
        return tuple(vm for _, vm in due[: max(0, min(turns, BATCH))])

    def _begin(self, turns: int) -> tuple[str, ...]:
        waiting = [member.vm for member, state in self.all() if state.standing is Standing.WAITING]
        return tuple(waiting[: max(0, min(turns, BATCH))])
