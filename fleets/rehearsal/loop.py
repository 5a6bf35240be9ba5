"""The loop of discrete events: what is due next happens, and the fleet's own functions say what follows from it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush

from contracts.fleet import MemberState, MemberTold, Standing, Yes
from contracts.names import Phase
from fleets.ordering import RULE, Fleet
from fleets.rehearsal.calendar import Rehearsed
from fleets.rehearsal.counting import Counting
from fleets.rehearsal.given import Given
from fleets.rehearsal.machine import Calendar, Machine
from fleets.rehearsal.permitted import PaperPermits
from fleets.rehearsal.pipe import Pipe

HOUR = 3600.0
MINUTE = 60.0


def rehearse(given: Given) -> Rehearsed:
    """Play it through."""
    return _Rehearsal(given).play()


class _Rehearsal:
    def __init__(self, given: Given) -> None:
        self._given, self._rates = given, given.rates
        self._fleet = Fleet(given.request, {})
        self._machines = {
            member.vm: Machine(member.vm, given.request.request_of(member), given.holds[member.vm])
            for member, _ in self._fleet.all()
        }
        self._pipe = Pipe(given.rates.alone, given.rates.together)
        self._calendar = Calendar()
        self._now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._made = 0
        self._after: dict[str, Callable[[], None]] = {}
        self._permits = PaperPermits(given.limits, self._moment)
        self._counting = Counting(given, self._fleet, self._permits)

    def play(self) -> Rehearsed:
        """Until nothing is due any more."""
        self._tick()
        while True:
            self._turn()
            if self._fleet.over:
                break
            ends = self._pipe.next_end()
            due = self._due[0][0] if self._due else None
            if ends is None and due is None:
                break
            now = min(each for each in (ends, due) if each is not None)
            if now > self._given.most.total_seconds() or self._idle():
                break
            self._pipe.to(now)
            self._now = now
            self._made += 1
            if due is not None and due <= now:
                heappop(self._due)[2]()
            else:
                self._after.pop(self._pipe.take())()
        return self._counting.told(self._machines, self._now, self._made)

    # -- time

    def _at(self, seconds: float, what: Callable[[], None]) -> None:
        self._made += 1
        heappush(self._due, (max(self._now, seconds), self._made, what))

    def _moment(self) -> datetime:
        return self._given.starts + timedelta(seconds=self._now)

    def _seconds(self, moment: datetime) -> float:
        return (moment - self._given.starts).total_seconds()

    def _tick(self) -> None:
        """What the calendar of bandwidth lets pass from now on."""
        limit = self._rates.limit.at(self._moment())
        self._pipe.to(self._now)
        self._pipe.together = self._rates.together if limit is None else min(limit, self._rates.together)
        if len(self._rates.limit.entries) > 1:
            self._at(self._now - self._now % MINUTE + self._to_the_next_entry() * MINUTE, self._tick)

    def _to_the_next_entry(self) -> int:
        moment = self._moment()
        minute = (moment.weekday() * 24 + moment.hour) * 60 + moment.minute
        return min((start - minute - 1) % (7 * 24 * 60) + 1 for start, _ in self._rates.limit.entries)

    def _idle(self) -> bool:
        """Whether only the calendar ticks."""
        return not self._pipe.jobs and all(what == self._tick for _, _, what in self._due)

    # -- what the fleet does

    def _turn(self) -> None:
        """As in its workflow: until nothing is due."""
        while True:
            deed = self._fleet.deed()
            if deed.pause:
                self._counting.paused = deed.pause
                self._fleet.paused = True
            for vm in deed.rule_yes:
                self._says_yes(vm, RULE)
            for vm in deed.say_yes:
                self._heard_yes(vm)
            for vm in deed.begin:
                self._begin(vm)
            if not (deed.pause or deed.rule_yes or deed.say_yes or deed.begin):
                return

    def _put(self, vm: str, **changes: object) -> None:
        self._fleet.put(vm, self._fleet.state(vm).model_copy(update=changes))
        self._counting.see(self._now)

    def _tell(self, machine: Machine, phase: Phase, *, ticket: str = "") -> None:
        waited = machine.phase in (Phase.DELTA_SYNC, Phase.AWAITING_APPROVAL)
        waits = phase in (Phase.DELTA_SYNC, Phase.AWAITING_APPROVAL)
        if waited != waits and machine.holds.warm:  # others have no delta passes
            self._pipe.to(self._now)
            self._pipe.taken += self._rates.changes if waits else -self._rates.changes
        machine.phase = phase
        told = MemberTold.model_construct(
            workflow="", run="", phase=phase, needs_human="", message="", ticket=ticket, approved=False, refused=False,
            outcome="", code="", bytes_sent=0,
        )  # fmt: skip
        self._put(machine.vm, told=told)

    def _begin(self, vm: str) -> None:
        machine = self._machines[vm]
        machine.began_at = self._now
        self._fleet.put(vm, MemberState(standing=Standing.RUNNING, tries=1))
        self._counting.began(vm, self._now)
        self._tell(machine, Phase.PREFLIGHT)
        self._at(self._now + self._rates.preparing, lambda: self._copy(machine))

    def _copy(self, machine: Machine) -> None:
        if machine.vm in self._given.fails:
            self._fleet.failures += 1
            machine.stuck = self._given.fails[machine.vm]
            self._put(machine.vm, standing=Standing.FAILED, told=None)
            return
        if not machine.holds.warm:
            self._ask(machine)
            return
        self._tell(machine, Phase.INITIAL_SYNC)

        def copied() -> None:
            self._permits.give_back(machine.vm)
            self._copied(machine)

        self._permits.ask(
            machine.vm, "copy", machine.holds.needs, lambda: self._pass(machine, machine.holds.allocated, copied)
        )

    def _pass(self, machine: Machine, size: float, then: Callable[[], None]) -> None:
        began, machine.frozen_at = self._now, self._now

        def sent() -> None:
            self._at(self._now + self._rates.beside, ended)

        def ended() -> None:
            machine.passed(size, self._now - began)
            self._counting.sent += int(size)
            then()

        self._pipe.to(self._now)
        self._pipe.put(machine.vm, size)
        self._after[machine.vm] = sent

    def _copied(self, machine: Machine) -> None:
        """After a pass: another, or it is time to ask."""
        self._counting.copied(machine.vm, self._now)
        if machine.asks():
            self._ask(machine)
            return
        self._tell(machine, Phase.DELTA_SYNC)
        first = len(machine.passes) == 1
        wait = 0.0 if first else machine.request.delta_interval.total_seconds()
        self._at(self._now + wait, lambda: self._delta(machine))

    def _ask(self, machine: Machine) -> None:
        self._tell(machine, Phase.AWAITING_APPROVAL, ticket="t")
        if self._fleet.wave(self._fleet.member(machine.vm)).approval == "manual":
            answer = self._now + self._given.answer.total_seconds()
            self._at(answer, lambda: self._says_yes(machine.vm, "somebody"))

    def _delta(self, machine: Machine) -> None:
        self._pass(machine, machine.changed(self._now, self._rates), lambda: self._copied(machine))

    def _says_yes(self, vm: str, who: str) -> None:
        self._put(vm, yes=Yes(who=who, ticket="t", at=self._moment()))

    def _heard_yes(self, vm: str) -> None:
        yes = self._fleet.state(vm).yes
        assert yes is not None
        self._put(vm, yes=yes.model_copy(update={"sent": True, "heard": True}))
        self._machines[vm].yes = True
        self._look(self._machines[vm])

    def _look(self, machine: Machine) -> None:
        """Whether it may be cut over now, or when to look again."""
        machine.waited(self._now, self._rates, self._pipe.share)
        held = machine.held(self._moment(), self._calendar)
        if held is None:
            self._ask_to_cut_over(machine)
            return
        self._permits.give_back(machine.vm)
        if held.until is None or held.code:
            machine.stuck = held.message
        if held.until is not None and not machine.stuck:
            closes = machine.closes_at(self._moment(), self._calendar)
            if closes is not None:
                machine.missed.add(closes)
            self._at(max(self._seconds(held.until), self._now + 1.0), lambda: self._look(machine))

    def _ask_to_cut_over(self, machine: Machine) -> None:
        """Permits first; where they come too late for its window, they go back."""
        if self._permits.waits(machine.vm):
            return
        asked = self._now

        def granted() -> None:
            late = self._now - asked > machine.request.delta_interval.total_seconds()
            if machine.held(self._moment(), self._calendar) is None and machine.holds.warm and late:
                self._pass(machine, machine.changed(self._now, self._rates), ready)
            else:
                ready()

        def ready() -> None:
            if machine.held(self._moment(), self._calendar) is None:
                self._cut_over(machine)
                return
            if closes is not None and self._moment() >= closes:  # over that pass
                machine.missed.add(closes)
            self._look(machine)

        closes = machine.closes_at(self._moment(), self._calendar)
        self._permits.ask(machine.vm, "cutover", machine.holds.needs, granted)
        if self._permits.waits(machine.vm) and closes is not None:
            self._at(self._seconds(closes), lambda: self._closed(machine, closes))

    def _closed(self, machine: Machine, closes: datetime) -> None:
        """A window, over one that waits for permits."""
        if self._permits.waits(machine.vm):
            machine.missed.add(closes)
            self._look(machine)

    def _cut_over(self, machine: Machine) -> None:
        self._tell(machine, Phase.CUTOVER)
        self._counting.cut_over(machine.vm, self._now)
        machine.off_at, machine.final = self._now, machine.predicted()
        size = machine.changed(self._now, self._rates)
        closes = machine.closes_at(self._moment(), self._calendar)

        def off() -> None:
            self._pass(machine, size, copied)

        def copied() -> None:
            assert machine.final is not None
            self._at(self._now + machine.final.proving.total_seconds() + self._rates.start, started)

        def started() -> None:
            if closes is not None and self._moment() > closes:  # the source came on again when it closed
                machine.missed.add(closes)
                self._permits.give_back(machine.vm)
                self._tell(machine, Phase.AWAITING_APPROVAL, ticket="t")
                self._look(machine)
                return
            machine.downtime = self._now - machine.off_at if machine.holds.on else 0.0
            self._tell(machine, Phase.START)
            self._prove(machine)

        self._at(self._now + (self._rates.shutdown if machine.holds.on else 0.0), off)

    def _prove(self, machine: Machine) -> None:
        """The source is read whole, and the target where that was not done before."""
        parts = 2 if machine.final is not None and machine.final.proof is None else 1

        def proven() -> None:
            machine.through_at = self._now
            self._permits.give_back(machine.vm)
            self._tell(machine, Phase.PROBATION)
            self._at(self._now + machine.probation.total_seconds(), done)

        def done() -> None:
            self._put(machine.vm, standing=Standing.DONE)

        self._pipe.to(self._now)
        self._pipe.put(machine.vm, machine.holds.allocated * parts)
        self._after[machine.vm] = proven
