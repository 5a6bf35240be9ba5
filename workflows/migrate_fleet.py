"""``MigrateFleet``: a sliding window of migrations, which run on whatever becomes of it."""

import asyncio
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from contracts.errors import FerryError
    from contracts.fleet import (
        BEFORE_COPIED,
        Chosen,
        FleetAck,
        FleetAdd,
        FleetApprove,
        FleetReport,
        FleetState,
        FleetStatus,
        FleetSteer,
        Member,
        MemberState,
        MemberTold,
        MigrateFleetInput,
        Standing,
        Unsent,
        standing_of,
    )
    from contracts.fleet_rows import FleetMembers
    from contracts.names import MEMBER_TOLD, MEMBERS, MIGRATE_FLEET, MIGRATE_VM, QUEUE, STATUS
    from contracts.notices import Event
    from fleets.ordering import RULE, Fleet
    from fleets.rows import members_of
    from fleets.telling import report_of, status_of
    from workflows.fleet_messages import CANCEL, MOST_LETTERS, FleetMessages, Letter
    from workflows.notifying import Notices
    from workflows.stepping import as_failure
    from workflows.timing import EVENTS_PER_RUN
    from workflows.watching_members import tell_of, watch_members


@workflow.defn(name=MIGRATE_FLEET, failure_exception_types=[ValidationError])
class MigrateFleet:
    """Begins members, says yes to them on behalf of people, and hears what becomes of them."""

    @workflow.init
    def __init__(self, request: MigrateFleetInput) -> None:
        self.request = request
        self.state = request.state or FleetState()
        self.messages = FleetMessages(self)
        self.letters = [Letter(each.vm, each.signal, each.said) for each in self.state.letters]
        self._changed = True
        self._over = self._ended = False
        self._known: dict[str, str] = {}
        self._fleet: Fleet | None = None
        self.notices = Notices(fleet=request.fleet)

    @workflow.run
    async def run(self, request: MigrateFleetInput) -> FleetReport:
        """Until all have ended. A cancel cancels those that run, and waits for them."""
        work = asyncio.create_task(self._work())
        watching = asyncio.create_task(watch_members(self))
        while True:
            try:
                await asyncio.shield(work)
                break
            except asyncio.CancelledError:
                self.messages.cancel_all("whoever cancelled the workflow")
                if work.done():  # no new run: it would not know of the cancel
                    work = asyncio.create_task(self._work())
        watching.cancel()
        if not self.now().over:
            letters = tuple(Unsent(vm=each.vm, signal=each.signal, said=each.said) for each in self.letters)
            state = self.state.model_copy(update={"runs": self.state.runs + 1, "letters": letters})
            workflow.continue_as_new(self.request.model_copy(update={"state": state}))
        self._over = True
        return report_of(self.now())

    def now(self) -> Fleet:
        """As it stands."""
        state = self.state
        if self._fleet is None:
            self._fleet = Fleet(self.request, state.members, state.added)
        fleet = self._fleet
        fleet.paused, fleet.failures, fleet.cancelled = state.paused, state.failures, state.cancelled
        return fleet

    def set(self, **changes: Any) -> None:
        """Change the state."""
        self.state = self.state.model_copy(update=changes)
        self._fleet = None if "added" in changes else self._fleet
        self._changed = True

    def member(self, vm: str, **changes: Any) -> None:
        """Change what is known of one."""
        before = self.state.members.get(vm, MemberState())
        self.state.members[vm] = now = before.model_copy(update=changes)
        if self._fleet is not None:
            self._fleet.put(vm, now)
        self._changed = True

    async def _work(self) -> None:
        """Returns with nothing left unsaid, or with what is unsaid in the state of the next run."""
        while True:
            await workflow.wait_condition(lambda: self._changed)
            self._changed = False
            await self._send_letters()
            fleet = self.now()
            if fleet.over or _long_enough():
                await self._last_words(fleet)
                await workflow.wait_condition(workflow.all_handlers_finished)
                if not self._changed and not self.letters:
                    return
                if not self.now().over and workflow.patched("unsaid-goes-along"):
                    return
                continue
            deed = fleet.deed()
            if deed.pause:
                self.set(paused=True, paused_by=deed.pause)
                self.notices.add(Event.FLEET_PAUSED, f"paused, {deed.pause}", code="fleet.budget_spent",
                                 command=f"ferry fleet resume {self.request.fleet}")  # fmt: skip
            for vm in deed.rule_yes:
                self.messages.yes(vm, RULE, "")
            self._say_yes(deed.say_yes)
            await asyncio.gather(*(self._begin(vm) for vm in deed.begin))

    async def _last_words(self, fleet: Fleet) -> None:
        if fleet.over and not self._ended:
            self._ended = True
            report = report_of(fleet)
            counts = ", ".join(f"{count} {name}" for name, count in report.standing.items())
            self.notices.add(Event.FLEET_ENDED, f"ended {report.outcome}: {counts}",
                             command=f"ferry report fleet/{self.request.fleet}")  # fmt: skip
        await self.notices.flush()

    # -- members

    async def _begin(self, vm: str) -> None:
        request = self.request.request_of(self._member(vm), told_to=workflow.info().workflow_id)
        tries = self.state.members.get(vm, MemberState()).tries + 1
        self.member(vm, standing=Standing.RUNNING, tries=tries, told=None, yes=None, code="", message="",
                    began=workflow.now(), copied=None, ended=None, approved_by="")  # fmt: skip
        try:
            child: ChildWorkflowHandle[Any, Any] = await workflow.start_child_workflow(
                MIGRATE_VM,
                request.model_dump(mode="json", exclude_unset=True),
                id=self.request.workflow_of(self._member(vm)),
                task_queue=QUEUE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                cancellation_type=ChildWorkflowCancellationType.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"{vm}: {request.source} → {request.target}"[:200],
            )
        except WorkflowAlreadyStartedError:
            self.failed(vm, "workflow.already_running", "somebody else migrates it already")
        else:
            run = child.first_execution_run_id or ""
            child.add_done_callback(lambda done: self._closed(vm, run, tries, done))

    def _closed(self, vm: str, run: str, tries: int, done: Any) -> None:
        """A run that closed and had not told how it ended: somebody terminated it. In a later run of the fleet this
        is seen once a letter finds nobody: cancel it, then retry it."""
        state = self.state.members[vm]
        if done.cancelled() or done.exception() is None or (state.told is not None and state.told.run != run):
            return
        if state.standing is not Standing.RUNNING or state.tries != tries:  # it was begun anew
            return
        self.failed(vm, "workflow.gone", "it closed and did not say how it ended")

    def failed(self, vm: str, code: str, message: str) -> None:
        """It came to nothing, and did not say so itself."""
        self.set(failures=self.state.failures + 1)
        self.member(vm, standing=Standing.FAILED, yes=None, code=code, message=message, ended=workflow.now())

    @workflow.signal(name=MEMBER_TOLD)
    def member_told(self, told: MemberTold) -> None:
        """A migration says where it is."""
        vm = self._vms().get(told.workflow)
        if vm is None or vm not in self.state.members:
            return
        state = self.state.members[vm]
        yes = state.yes
        if told.outcome:
            standing = standing_of(told.outcome)
            copied = state.copied or (workflow.now() if standing is Standing.DONE else None)
            self.member(vm, standing=standing, told=told, yes=None, code=told.code, message=told.message,
                        copied=copied, ended=workflow.now())  # fmt: skip
            if standing is Standing.FAILED:
                self.set(failures=self.state.failures + 1)
            return
        newly_refused = told.refused and not (state.told is not None and state.told.refused)
        if yes is not None and (yes.ticket != told.ticket or newly_refused or (yes.heard and not told.approved)):
            yes = None  # what was approved is no more so, or somebody said no, or it was undone: it takes a new one
        elif yes is not None and told.approved:
            yes = yes.model_copy(update={"heard": True})
        copied = state.copied or (None if told.phase in BEFORE_COPIED else workflow.now())
        self.member(vm, told=told, yes=yes, copied=copied)
        tell_of(self.notices, self.now(), vm, state, self.state.members[vm])

    def _say_yes(self, vms: tuple[str, ...]) -> None:
        for vm in vms:
            yes = self.state.members[vm].yes
            assert yes is not None
            said = {"approval_ticket": yes.ticket, "who": yes.who, "note": yes.note}
            self.letters.append(Letter(vm, "approve_cutover", said))
            self.member(vm, yes=yes.model_copy(update={"sent": True}), approved_by=yes.who)

    async def _send_letters(self) -> None:
        letters, self.letters = self.letters, []
        while letters:
            now, letters = letters[:MOST_LETTERS], letters[MOST_LETTERS:]
            await asyncio.gather(*(self._send(letter) for letter in now))
            if letters and _long_enough():  # two events a letter: the rest goes along to the next run
                self.letters = [*letters, *self.letters]
                return

    async def _send(self, letter: Letter) -> None:
        state = self.state.members.get(letter.vm)
        if state is None or state.standing is not Standing.RUNNING:
            return
        handle = workflow.get_external_workflow_handle(self.request.workflow_of(self._member(letter.vm)))
        try:
            if letter.signal == CANCEL:
                await handle.cancel()
            else:
                await handle.signal(letter.signal, letter.said)
        except FailureError:  # nobody is there to get it
            now = self.state.members[letter.vm]
            if now.standing is Standing.RUNNING and now.tries == state.tries:  # else it told its end meanwhile
                self.failed(letter.vm, "workflow.gone", "nobody answers for it")

    def _member(self, vm: str) -> Member:
        return self.now().member(vm)

    def _vms(self) -> dict[str, str]:
        """Workflow id to VM."""
        members = (*self.request.members, *self.state.added)
        if len(self._known) != len(members):
            self._known = {self.request.workflow_of(member): member.vm for member in members}
        return self._known

    # -- updates

    @workflow.update
    async def approve(self, said: FleetApprove) -> FleetAck:
        """Yes to each of these, for what its ticket stands for now."""
        return self.messages.approve(said)

    @workflow.update
    async def pause(self, said: FleetSteer) -> FleetAck:
        """The fleet begins nobody and says no yes; or these members pause."""
        return self.messages.pause(said)

    @workflow.update
    async def resume(self, said: FleetSteer) -> FleetAck:
        """Go on; what failed so far counts against the budget no more."""
        return self.messages.resume(said)

    @workflow.update
    async def cancel(self, said: FleetSteer) -> FleetAck:
        """These are undone and end; those that wait do not begin."""
        return self.messages.cancel(said)

    @workflow.update
    async def skip(self, said: FleetSteer) -> FleetAck:
        """These are passed over, and who comes after them waits for them no more."""
        return self.messages.skip(said)

    @workflow.update
    async def retry(self, said: FleetSteer) -> FleetAck:
        """What is parked tries again; what has failed begins anew."""
        return self.messages.retry(said)

    @workflow.update
    async def add(self, said: FleetAdd) -> FleetAck:
        """More members."""
        return self.messages.add(said)

    @approve.validator
    def _check_approve(self, said: FleetApprove) -> None:
        self._check(said)

    @pause.validator
    def _check_pause(self, said: FleetSteer) -> None:
        self._check(said, names_needed=False)

    @resume.validator
    def _check_resume(self, said: FleetSteer) -> None:
        self._check(said, names_needed=False)

    @cancel.validator
    def _check_cancel(self, said: FleetSteer) -> None:
        self._check(said)

    @skip.validator
    def _check_skip(self, said: FleetSteer) -> None:
        self._check(said)

    @retry.validator
    def _check_retry(self, said: FleetSteer) -> None:
        self._check(said, begins=True)

    @add.validator
    def _check_add(self, said: FleetAdd) -> None:
        try:
            self.messages.check_goes_on()
            self.messages.check_add(said)
        except FerryError as error:
            raise as_failure(error) from None

    def _check(self, said: Chosen, *, names_needed: bool = True, begins: bool = False) -> None:
        try:
            if begins:
                self.messages.check_goes_on()
            self.messages.check(said, names_needed=names_needed)
        except FerryError as error:
            raise as_failure(error) from None

    @workflow.query(name=STATUS)
    def status(self) -> FleetStatus:
        """Numbers, and who waits for a human."""
        return status_of(self.now(), self.state, over=self._over)

    @workflow.query(name=MEMBERS)
    def members(self) -> FleetMembers:
        """A row of each: one question, however many there are."""
        return members_of(self.now())


def _long_enough() -> bool:
    info = workflow.info()
    return info.is_continue_as_new_suggested() or info.get_current_history_length() > EVENTS_PER_RUN
