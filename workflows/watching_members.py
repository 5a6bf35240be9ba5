"""What of a fleet's members people are told, and whether those that should run still do."""

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from contracts.fleet import MemberState, Standing
    from contracts.names import QUEUE
    from contracts.notices import Event, LivingAnswer, LivingOrder
    from fleets.ordering import Fleet
    from workflows import timing
    from workflows.notifying import Notices

if TYPE_CHECKING:
    from workflows.migrate_fleet import MigrateFleet


def tell_of(notices: Notices, fleet: Fleet, vm: str, before: MemberState, now: MemberState) -> None:
    """What is new of it, if a person should know. Where a rule says yes, nobody is asked."""
    name, told = fleet.request.fleet, now.told
    if told is None:
        return
    if told.needs_human and (before.told is None or before.told.needs_human != told.needs_human):
        code = told.needs_human
        text = f"needs a human: {code}{f', {told.message}' if told.message else ''}"
        notices.add(Event.NEEDS_HUMAN, text, vm=vm, code=code, command=f"ferry status fleet/{name}")
    elif now.asks and not before.asks:
        wave = fleet.wave(fleet.member(vm))
        if wave.approval == "manual" or told.refused:
            command = f"ferry fleet approve {name} --wave '{wave.name}'" if "'" not in wave.name else ""
            notices.add(Event.APPROVAL, f"wave {wave.name} waits for a yes", vm=vm, code=wave.name, command=command)


async def watch_members(fleet: "MigrateFleet") -> None:
    """At intervals: a run that was terminated could tell nobody. Its code is ``workflow.gone``, as in the first run."""
    if not workflow.patched("watch-members"):
        return
    while True:
        await workflow.sleep(timing.WATCH_MEMBERS, summary="until it is looked whether all live")
        long_ago = workflow.now() - timing.WATCH_MEMBERS / 2
        asked = {
            fleet.request.workflow_of(member): (member.vm, state.tries)
            for member, state in fleet.now().all()
            if state.standing is Standing.RUNNING and (state.began is None or state.began < long_ago)
        }
        if not asked:
            continue
        said = LivingOrder(fleet=workflow.info().workflow_id, workflows=tuple(asked))
        try:
            answer = await workflow.execute_activity(
                "members_gone", said, result_type=LivingAnswer, task_queue=QUEUE,
                start_to_close_timeout=timedelta(minutes=2), schedule_to_close_timeout=timing.WATCH_MEMBERS,
                retry_policy=RetryPolicy(maximum_attempts=3), summary="do the members still run?",
            )  # fmt: skip
        except FailureError as error:
            workflow.logger.warning("whether members run is not known: %s", error.cause or error)
            continue
        for each in answer.gone:
            vm, tries = asked[each]
            state = fleet.state.members.get(vm)
            if state is not None and state.standing is Standing.RUNNING and state.tries == tries:
                fleet.failed(vm, "workflow.gone", "it closed and did not say how it ended")
