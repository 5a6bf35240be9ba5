"""What a person says to a fleet, and whom of its members it is about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.errors import FerryError
    from contracts.fleet import (
        ENDED,
        Chosen,
        FleetAck,
        FleetAdd,
        FleetApprove,
        FleetSteer,
        Member,
        MemberState,
        Standing,
        Yes,
        check_members,
        unknown,
    )

if TYPE_CHECKING:
    from workflows.migrate_fleet import MigrateFleet

CANCEL = "cancel"
MOST_LETTERS = 1000
"""Under way at once: of one workflow Temporal takes 2,000 signals to others and 2,000 cancels, and with one more it
refuses the whole workflow task, again and again."""


@dataclass(frozen=True)
class Letter:
    """A signal to a member's migration, or its cancel."""

    vm: str
    signal: str
    said: dict[str, Any] = field(default_factory=dict)


class FleetMessages:
    """Each answers with whom it took and whom it passed over; nothing here waits."""

    def __init__(self, fleet: "MigrateFleet") -> None:
        self._fleet = fleet

    def check(self, said: Chosen, *, names_needed: bool) -> None:
        """Raises FerryError ``request.invalid``: a name that is none, or no name where one must be."""
        fleet = self._fleet.now()
        wrong = unknown(said, [wave.name for wave in fleet.request.waves], [member.vm for member, _ in fleet.all()])
        if not wrong and names_needed and not (said.waves or said.vms or said.everyone):
            wrong = "name waves or VMs, or say everyone"
        if wrong:
            raise FerryError("request.invalid", wrong)

    def check_goes_on(self) -> None:
        """Raises FerryError ``message.wrong_phase``: who is begun in a fleet that was cancelled would never begin."""
        if self._fleet.state.cancelled:
            raise FerryError(
                "message.wrong_phase", "the fleet was cancelled, and begins nobody: apply a plan of the rest"
            )

    def check_add(self, said: FleetAdd) -> None:
        """Raises FerryError ``request.invalid``."""
        request, state = self._fleet.request, self._fleet.state
        try:
            waves = [wave.name for wave in request.waves]
            check_members([*request.members, *state.added, *said.members], waves, request.defaults)
        except ValueError as error:
            raise FerryError("request.invalid", str(error)) from None

    def approve(self, said: FleetApprove) -> FleetAck:
        """A yes to each that can be approved now."""

        def one(member: Member, state: MemberState) -> str:
            if state.yes is not None:
                return "approved already"
            if not state.asks:
                return self._where(state)
            self.yes(member.vm, said.who, said.note)
            return ""

        return self._each(said, one)

    def yes(self, vm: str, who: str, note: str) -> None:
        """For what its ticket stands for now."""
        told = self._fleet.state.members[vm].told
        assert told is not None
        self._fleet.member(vm, yes=Yes(who=who, note=note, ticket=told.ticket, at=workflow.now()))

    def pause(self, said: FleetSteer) -> FleetAck:
        """Of the fleet itself, or of members that run."""
        if not self._names(said):
            self._fleet.set(paused=True, paused_by=said.who)
            return FleetAck()
        return self._each(said, self._letter("pause_migration", said))

    def resume(self, said: FleetSteer) -> FleetAck:
        """The same, undone."""
        if not self._names(said):
            self._fleet.set(paused=False, paused_by="", failures=0)
            return FleetAck()
        return self._each(said, self._letter("resume_migration", said))

    def cancel(self, said: FleetSteer) -> FleetAck:
        """Those that run are cancelled, those that wait are over."""

        def one(member: Member, state: MemberState) -> str:
            if state.standing in ENDED:
                return self._where(state)
            if state.standing is Standing.WAITING:
                self._fleet.member(member.vm, standing=Standing.CANCELLED, code="migration.cancelled", message=said.who)
            else:
                self._post(Letter(member.vm, CANCEL))
            return ""

        return self._each(said, one)

    def cancel_all(self, who: str) -> None:
        """The fleet is over once those that run have ended."""
        self._fleet.set(cancelled=True)
        self.cancel(FleetSteer(who=who, everyone=True))

    def skip(self, said: FleetSteer) -> FleetAck:
        """Those that do not run are passed over."""

        def one(member: Member, state: MemberState) -> str:
            if state.standing in (Standing.RUNNING, Standing.DONE):
                return self._where(state)
            self._fleet.member(member.vm, standing=Standing.SKIPPED, code="", message=f"skipped by {said.who}")
            return ""

        return self._each(said, one)

    def retry(self, said: FleetSteer) -> FleetAck:
        """Parked ones are told to; failed ones wait for a turn again, cancelled and skipped ones where they are named:
        somebody wanted them so."""
        named = set(said.vms)

        def one(member: Member, state: MemberState) -> str:
            if state.standing is Standing.RUNNING and state.told is not None and state.told.needs_human:
                self._post(Letter(member.vm, "retry_migration", {"who": said.who, "note": said.note}))
            elif state.standing is Standing.FAILED or (
                member.vm in named and state.standing in (Standing.CANCELLED, Standing.SKIPPED)
            ):
                self._fleet.member(member.vm, standing=Standing.WAITING, code="", message="", began=None, copied=None,
                                   ended=None, approved_by="")  # fmt: skip
            else:
                return self._where(state)
            return ""

        return self._each(said, one)

    def add(self, said: FleetAdd) -> FleetAck:
        """They wait for a turn like others of their wave."""
        self._fleet.set(added=(*self._fleet.state.added, *said.members))
        return FleetAck(taken=tuple(member.vm for member in said.members))

    # -- whom

    def _names(self, said: Chosen) -> bool:
        return bool(said.waves or said.vms or said.everyone)

    def _chosen(self, said: Chosen) -> Iterator[tuple[Member, MemberState]]:
        fleet, vms, waves = self._fleet.now(), set(said.vms), set(said.waves)
        for member, state in fleet.all():
            if said.everyone or member.vm in vms or fleet.wave(member).name in waves:
                yield member, state

    def _each(self, said: Chosen, one: Callable[[Member, MemberState], str]) -> FleetAck:
        taken, passed_over = [], {}
        for member, state in list(self._chosen(said)):
            reason = one(member, state)
            if reason:
                passed_over[member.vm] = reason
            else:
                taken.append(member.vm)
        return FleetAck(taken=tuple(taken), passed_over=passed_over)

    def _letter(self, signal: str, said: FleetSteer) -> Callable[[Member, MemberState], str]:
        def one(member: Member, state: MemberState) -> str:
            if state.standing is not Standing.RUNNING:
                return self._where(state)
            self._post(Letter(member.vm, signal, {"who": said.who, "note": said.note}))
            return ""

        return one

    def _post(self, letter: Letter) -> None:
        self._fleet.letters.append(letter)
        self._fleet.set()

    @staticmethod
    def _where(state: MemberState) -> str:
        if state.standing is Standing.RUNNING and state.told is not None:
            return f"in {state.told.phase.value}" + (f", {state.told.needs_human}" if state.told.needs_human else "")
        return state.standing.value
