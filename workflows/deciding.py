"""Which message is accepted when, and what an approval approves. Pure: no Temporal."""

import hashlib
import json
from datetime import datetime

from contracts.errors import FerryError
from contracts.messages import Approve, Reject, Retry, Rollback, SetLimits
from contracts.migration import Decision, MigrationState
from contracts.names import ACCEPTED_IN, Message
from contracts.sizes import spoken_size
from contracts.steps import Preflight


def approval_facts(preflight: Preflight, codes: tuple[str, ...]) -> tuple[str, ...]:
    """What a human approves, a sentence each; the ticket digests exactly these.

    Args:
        codes: the preflight's open codes at the time when the shell was made.
    """
    machine = preflight.machine
    return (
        f"VM {machine.name} ({machine.machine_id}), {machine.firmware.value}",
        *(
            f"disk {disk.slot}: {spoken_size(disk.capacity)} ({disk.capacity} bytes), {disk.disk_id}"
            for disk in machine.disks
        ),
        *(
            f"NIC {nic.index}: {nic.mac} on {nic.network!r}, to network {preflight.networks.get(nic.network, '?')}"
            for nic in machine.nics
        ),
        *(f"foreign snapshot: {name}" for name in machine.foreign_snapshots),
        f"to pool {preflight.pool}, SR {preflight.sr_name} ({preflight.sr_uuid})",
        *(f"open: {code}" for code in codes),
    )


def refused(decisions: tuple[Decision, ...]) -> bool:
    """Whether a human's no stands, which outranks `approval: auto`. A yes after it that expired gives way to it."""
    for each in reversed(decisions):
        if each.decision == "expired":
            return any(other.decision == "rejected" for other in decisions)
        if each.decision in ("rejected", "approved"):
            return each.decision == "rejected"
    return False


def ticket_of(facts: tuple[str, ...]) -> str:
    """The digest of the facts; short enough to be read out on the telephone."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def refusal(message: Message, state: MigrationState, said: object = None) -> FerryError | None:
    """Why a message is refused now; None when it is accepted. Repeats of an accepted one are accepted."""
    if message is Message.SET_LIMITS and (
        not isinstance(said, SetLimits) or (said.bandwidth is None and said.windows is None)
    ):
        return FerryError("request.invalid", 'nothing to set: name a limit, {"bandwidth": "50M"} or "off", or windows')
    if message is Message.RETRY:
        if state.needs_human:
            return _retry_refusal(state, said)
        return FerryError("message.wrong_phase", "the migration waits for no human: there is nothing to try again")
    if message is Message.APPROVE:
        return _approve_refusal(state, said)
    if message is Message.REJECT and state.power_off_began:
        return FerryError("message.wrong_phase", "power-off has begun; use rollback")
    if state.phase not in ACCEPTED_IN[message]:
        accepted = ", ".join(sorted(phase.value for phase in ACCEPTED_IN[message]))
        return FerryError(
            "message.wrong_phase", f"{message.value} is accepted in {accepted}; the phase is {state.phase.value}"
        )
    if message is Message.REJECT:
        assert isinstance(said, Reject)
        if said.approval_ticket and said.approval_ticket != state.approval_ticket:
            return _stale(state)
    if message is Message.ROLLBACK:
        assert isinstance(said, Rollback)
        return _rollback_refusal(state, said)
    return None


def nobody(said: object) -> FerryError | None:
    """Why a decision in nobody's name is refused. Asked at the door only: histories hold what was once let in."""
    if isinstance(said, Approve | Reject | Rollback) and not said.who.strip():
        return FerryError("request.invalid", "who: a name is more than blanks")
    return None


ACCEPTABLE = ("smoke.failed", "smoke.no_reboot")
"""Codes that a human may pass over by `retry --accept`: all data is where it belongs, whatever they decide."""


def _retry_refusal(state: MigrationState, said: object) -> FerryError | None:
    if not isinstance(said, Retry):
        return None
    if said.from_phase and not _may_go_back_to(said.from_phase, state):
        return FerryError("request.invalid", f"retry from {said.from_phase} does not mend {state.needs_human}")
    if not said.accept:
        return None
    if state.needs_human not in ACCEPTABLE:
        return FerryError("request.invalid", f"{state.needs_human} cannot be accepted: mend it, and retry")
    if not said.who.strip():
        return FerryError("request.invalid", "accept needs a name: who takes it as it is?")
    return None


def _may_go_back_to(phase: str, state: MigrationState) -> bool:
    if phase == "proof":
        return state.needs_human in ("verify.target_differs", "verify.source_differs")
    return state.started_at is None and state.shell is not None and state.pass_no > 0


def _approve_refusal(state: MigrationState, said: object) -> FerryError | None:
    assert isinstance(said, Approve)
    if state.approved is not None and state.approved.approval_ticket == said.approval_ticket:
        return None
    if state.phase not in ACCEPTED_IN[Message.APPROVE] or not state.approval_ticket:
        return FerryError(
            "message.wrong_phase",
            f"approval is accepted in delta-sync and awaiting-approval; the phase is {state.phase.value}",
        )
    if said.approval_ticket != state.approval_ticket:
        return _stale(state)
    return None


def _rollback_refusal(state: MigrationState, said: Rollback) -> FerryError | None:
    if state.leaving:
        return FerryError(
            "message.wrong_phase",
            "the migration is ending and its way back is being removed; the source stays off, whole: start it by hand",
        )
    if state.started_at is None:
        return None
    expected = state.started_at.isoformat().replace("+00:00", "Z")  # as the status shows it
    if _moment(said.lose_target_writes_since) != state.started_at:
        return FerryError(
            "message.needs_confirmation",
            f"what the target wrote since {expected} would be lost: name it in lose_target_writes_since",
        )
    return None


def _moment(said: str) -> datetime | None:
    """However a client writes it: `Z` or `+00:00`."""
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _stale(state: MigrationState) -> FerryError:
    return FerryError("message.stale_ticket", f"the ticket is {state.approval_ticket} now")
