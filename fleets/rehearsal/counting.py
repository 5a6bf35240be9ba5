"""What a rehearsal notes along the way, by wave and by limit."""

from datetime import datetime, timedelta

from contracts.fleet import MemberState, Standing
from fleets.ordering import Fleet
from fleets.rehearsal.calendar import Downtime, Peak, Rehearsed, WaveRehearsed
from fleets.rehearsal.given import Given
from fleets.rehearsal.machine import Machine
from fleets.rehearsal.permitted import PaperPermits

MOST_DOWNTIMES = 20
MOST_NEVER = 100


class Counting:
    """``sent``: bytes of all passes; ``paused``: why the fleet stopped itself."""

    def __init__(self, given: Given, fleet: Fleet, permits: PaperPermits) -> None:
        self._given, self._fleet, self._permits = given, fleet, permits
        self.sent, self.paused = 0, ""
        self._copying = self._cutting = 0
        self._began: dict[str, float] = {}
        self._copied: dict[str, float] = {}
        self._cut: dict[str, float] = {}

    def see(self, now: float) -> None:
        """Something changed."""
        self._copying = max(self._copying, self._fleet.copying)
        self._cutting = max(self._cutting, self._fleet.cutting_over)

    def began(self, vm: str, now: float) -> None:
        """Its migration began."""
        self._began.setdefault(vm, now)

    def copied(self, vm: str, now: float) -> None:
        """A pass of it has ended; the first counts."""
        self._copied.setdefault(vm, now)

    def cut_over(self, vm: str, now: float) -> None:
        """Its cutover began."""
        self._cut.setdefault(vm, now)

    def told(self, machines: dict[str, Machine], now: float, events: int) -> Rehearsed:
        """All of it."""
        waves: dict[str, list[Machine]] = {wave.name: [] for wave in self._given.request.waves}
        for member, _ in self._fleet.all():
            waves[self._fleet.wave(member).name].append(machines[member.vm])
        through = [each for each in machines.values() if each.through_at is not None]
        most = self._given.request.at_once
        never = {m.vm: self._why(m, self._fleet.state(m.vm)) for m in machines.values() if m.through_at is None}
        longest = sorted(through, key=lambda each: (-each.downtime, each.vm))[:MOST_DOWNTIMES]
        return Rehearsed(
            fleet=self._given.request.fleet, machines=len(machines), through=len(through), starts=self._given.starts,
            ends=self._moment(now) if len(through) == len(machines) else None, bytes_sent=self.sent,
            paused=self.paused, waves=tuple(self._wave(name, each) for name, each in waves.items()),
            peaks={
                "copied at once": Peak(most=self._copying, limit=most),
                "cut over at once": Peak(most=self._cutting, limit=most),
                **self._of_permits(),
            },
            downtimes=tuple(Downtime(vm=each.vm, seconds=round(each.downtime, 1)) for each in longest),
            through_at={each.vm: self._moment(each.through_at or 0.0) for each in through},
            never=dict(list(never.items())[:MOST_NEVER]), events=events,
        )  # fmt: skip

    def _of_permits(self) -> dict[str, Peak]:
        self._permits.settle()
        most, short, limits = self._permits.most, self._permits.short, self._permits.limits
        used = sorted(most, key=lambda each: (-short[each], -most[each] / max(1, limits[each]), each))
        return {each: Peak(most=most[each], limit=limits[each], waited_h=round(short[each] / 3600, 1)) for each in used}

    def _why(self, machine: Machine, state: MemberState) -> str:
        if machine.stuck:
            return machine.stuck
        if why := self._permits.why(machine.vm):
            return why
        if state.yes is not None and not state.yes.sent:
            return f"waits for {self._fleet.waits_for(self._fleet.member(machine.vm)) or 'a turn'}"
        if self.paused and state.standing is Standing.WAITING:
            return "the fleet is paused"
        return "the time that was given is over"

    def _wave(self, name: str, machines: list[Machine]) -> WaveRehearsed:
        def when(known: dict[str, float]) -> list[float]:
            return [known[each.vm] for each in machines if each.vm in known]

        began, copied, cut = when(self._began), when(self._copied), when(self._cut)
        through = [each.through_at for each in machines if each.through_at is not None]
        return WaveRehearsed(
            name=name, machines=len(machines), through=len(through),
            begins=self._moment(min(began)) if began else None,
            copied=self._moment(max(copied)) if len(copied) == len(machines) and copied else None,
            first_cutover=self._moment(min(cut)) if cut else None,
            ends=self._moment(max(through)) if len(through) == len(machines) and through else None,
            windows_missed=len({(each.vm, closes) for each in machines for closes in each.missed}),
        )  # fmt: skip

    def _moment(self, seconds: float) -> datetime:
        return (self._given.starts + timedelta(seconds=seconds)).replace(microsecond=0)
