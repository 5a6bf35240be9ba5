"""What the command line shows, made from contracts: no server, no terminal."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console, RenderableType
from ruamel.yaml import YAML

from contracts.errors import ExitCode, FerryError
from contracts.machine import MachineSummary, Power
from contracts.migration import Decision, PassSummary
from contracts.names import Phase
from contracts.steps import Check, ProofReport
from contracts.told import DiskReport, Report, Status
from starter.commands.cancelling import what_will_happen
from starter.commands.rolling_back import what_is_lost
from starter.failures import as_ferry_error, error_block, tell
from starter.output import Output, put
from starter.seen import Execution, Seen, Working, as_data, short_name
from starter.views.fleet import fleet_view
from starter.views.machines import machines_view
from starter.views.migration import migration_view
from starter.views.report import report_view
from starter.views.words import share
from starter.waiting import code_of_end
from starter.watching import progress_line

WORKFLOW = "migrate/vc/web01"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def drawn(view: RenderableType) -> str:
    """As a pipe gets it."""
    out = io.StringIO()
    Console(file=out, width=160, highlight=False).print(view)
    return out.getvalue()


def status(**given: Any) -> Status:
    return Status(**({"vm": "web01", "source": "vc", "target": "pool", "phase": Phase.INITIAL_SYNC} | given))


def running(**given: Any) -> Seen:
    told = status(**given)
    return Seen(WORKFLOW, Execution.RUNNING, phase=told.phase.value, status=told, began=NOON)


def ended(execution: Execution = Execution.COMPLETED, **given: Any) -> Seen:
    report = Report(**({"outcome": "done", "vm": "web01"} | given))
    return Seen(WORKFLOW, execution, phase=report.outcome, report=report)


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (running(), ExitCode.RUNNING),
        (running(phase=Phase.AWAITING_APPROVAL), ExitCode.WAITING),
        (running(phase=Phase.AWAITING_APPROVAL, approved_by="anna"), ExitCode.RUNNING),
        (running(needs_human="xapi.sr_full"), ExitCode.WAITING),
        (ended(), ExitCode.DONE),
        (ended(outcome="rolled-back"), ExitCode.ERROR),
        (ended(Execution.FAILED, outcome="failed", error="preflight.rdm_disk"), ExitCode.ERROR),
        (Seen(WORKFLOW, Execution.TERMINATED), ExitCode.ERROR),
    ],
)
def test_status_ends_with_what_a_script_must_know(seen: Seen, code: ExitCode) -> None:
    assert seen.exit_code is code


def test_what_is_approved_automatically_waits_for_nobody() -> None:
    told = status(phase=Phase.AWAITING_APPROVAL)
    seen = Seen(WORKFLOW, Execution.RUNNING, approval="auto", status=told)

    assert not seen.waits_for_human


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (ended(), 0),
        (ended(proof_target_is_source="differs"), 7),
        (ended(Execution.FAILED, outcome="failed", error="preflight.rdm_disk"), 4),
        (ended(Execution.FAILED, outcome="failed", error="verify.target_differs"), 7),
        (ended(Execution.FAILED, outcome="failed", error="vsphere.login_refused"), 10),
        (ended(outcome="rolled-back", error="migration.rolled_back"), 1),
        (running(phase=Phase.AWAITING_APPROVAL), 5),
    ],
)
def test_a_wait_ends_with_the_errors_own_code(seen: Seen, code: int) -> None:
    assert code_of_end(seen) == code


def test_an_operator_who_is_asked_sees_facts_downtime_ticket_and_command() -> None:
    seen = running(
        phase=Phase.AWAITING_APPROVAL,
        approval_ticket="0123456789ab",
        approval_facts=("VM web01 (50-21), uefi", "disk scsi0:0: 8.0 GiB [thin]"),
        predicted_downtime_s=75.0,
        passes=(PassSummary(pass_no=1, kind="initial", bytes_sent=8 << 30, seconds=61),),
        checks=(Check(code="preflight.iso_mounted", severity="warning", message="an ISO"),),
    )

    shown = drawn(migration_view(seen))

    assert "disk scsi0:0: 8.0 GiB [thin]" in shown, "brackets are no markup"
    assert "1m 15s" in shown
    assert "0123456789ab" in shown
    assert "preflight.iso_mounted" in shown
    assert "next command: ferry approve web01" in shown


def test_a_copy_shows_rate_and_eta_and_a_step_that_fails_its_code() -> None:
    told = status()
    seen = Seen(
        WORKFLOW,
        Execution.RUNNING,
        phase="initial-sync",
        status=told,
        working=(
            Working("copy_disk", disk="scsi0:0", step="copy", done=96 << 20, total=256 << 20, rate=16 << 20),
            Working("freeze", attempt=4, failure_code="vsphere.busy", failure="another task runs"),
        ),
    )

    shown = drawn(migration_view(seen))

    assert "37 %" in shown
    assert "16.0 MiB/s" in shown
    assert "10s" in shown
    assert "freeze is tried again (attempt 4): vsphere.busy: another task runs" in shown
    assert json.loads(progress_line(seen))["disks"]["scsi0:0"]["done"] == 96 << 20


def test_a_migration_without_a_worker_shows_what_temporal_knows() -> None:
    silence = FerryError("temporal.no_worker", "no worker answers")
    seen = Seen(WORKFLOW, Execution.RUNNING, phase="delta-sync", began=NOON, silence=silence)

    shown = drawn(migration_view(seen))

    assert "no status: no worker answers" in shown
    assert "delta-sync" in shown
    assert as_data(seen)["silence"]["code"] == "temporal.no_worker"


def test_the_report_names_both_proofs_and_what_was_sent_again() -> None:
    proof = ProofReport(disk_id="d", holds=False, differences=(4096,))
    report = Report(
        outcome="done",
        vm="web01",
        passes=3,
        bytes_sent=400 << 20,
        bytes_sent_again=16 << 20,
        downtime_s=12.5,
        proof_target_is_sent="holds",
        proof_target_is_source="differs",
        disks=(DiskReport(disk_id="d", slot="scsi0:0", capacity=1 << 30, vdi="u", proof_target_is_source=proof),),
        decisions=(Decision(decision="approved", who="anna", at=NOON),),
        kept_vdis=("vdi-1",),
    )

    shown = drawn(report_view(report))

    assert "sent again:                     16.0 MiB" in shown
    assert "target = what was sent:         holds" in shown
    assert "target = source at power-off:   DIFFERS" in shown
    assert "NO, at 4096" in shown
    assert "approved by anna" in shown
    assert "vdi-1" in shown


def test_json_has_raw_numbers_and_yaml_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    seen = running(bytes_sent=1 << 40, predicted_downtime_s=75.5)

    put(as_data(seen), Output.JSON, lambda: "")
    as_json = json.loads(capsys.readouterr().out)
    put(as_data(seen), Output.YAML, lambda: "")
    as_yaml = YAML(typ="safe", pure=True).load(capsys.readouterr().out)

    assert as_json["bytes_sent"] == 1 << 40
    assert as_json["predicted_downtime_s"] == 75.5
    assert as_yaml == as_json


def test_tables_in_a_pipe_are_plain_not_folded_and_take_names_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    machines = (MachineSummary(name="[red]" + "x" * 80, machine_id="5", ref="vm-1", power=Power.ON, memory=2 << 30),)

    put(machines, Output.TABLE, lambda: machines_view(machines))

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[red]" + "x" * 80 in out
    assert "2.0 GiB" in out


def test_lists_that_are_empty_say_what_to_do() -> None:
    assert "ferry start VM" in drawn(fleet_view([]))


def test_a_cancel_tells_apart_before_and_after_the_targets_start() -> None:
    before = what_will_happen(running(powered_off_at=NOON, bytes_sent=1))
    after = what_will_happen(running(phase=Phase.START, started_at=NOON))

    assert "powered on again" in before
    assert "kept on the target" in before
    assert "ferry rollback web01" in after


def test_a_rollback_tells_what_is_lost() -> None:
    assert "nothing is lost" in what_is_lost(status(phase=Phase.CUTOVER))
    assert f"since {NOON.isoformat()} is lost" in what_is_lost(status(phase=Phase.START, started_at=NOON))


def test_an_error_is_a_block_with_code_meaning_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    code = tell(FerryError("vsphere.login_refused", "user ferry"))

    first, meaning, to_do, more = capsys.readouterr().err.splitlines()
    assert code == 10
    assert first == "error[vsphere.login_refused]: user ferry"
    assert "tried once" in meaning
    assert "Correct the secret" in to_do
    assert more.strip() == "more:    ferry explain vsphere.login_refused"


def test_a_code_that_nobody_knows_leads_to_what_is_known_of_it() -> None:
    assert "ferry explain internal" in error_block("no.such", "what")


def test_temporals_errors_become_ours_by_the_innermost_code() -> None:
    from temporalio.client import RPCError, WorkflowFailureError
    from temporalio.exceptions import ActivityError, ApplicationError, RetryState
    from temporalio.service import RPCStatusCode

    refused = ActivityError(
        "failed", scheduled_event_id=1, started_event_id=2, identity="w", activity_type="inspect", activity_id="1",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )  # fmt: skip
    refused.__cause__ = ApplicationError("wrong password", type="xapi.login_refused")
    lost = RPCError("no", RPCStatusCode.UNAVAILABLE, b"")

    assert as_ferry_error(WorkflowFailureError(cause=refused)).code == "xapi.login_refused"
    assert as_ferry_error(lost).code == "temporal.unreachable"
    assert as_ferry_error(ApplicationError("x", type="ValidationError")).code == "request.invalid"
    assert as_ferry_error(KeyError("x")).code == "internal"


@pytest.mark.parametrize(("done", "told"), [(0, "0 %"), (999, "99 %"), (1000, "100 %")])
def test_a_copy_is_never_said_to_be_whole_before_it_is(done: int, told: str) -> None:
    assert share(done, 1000) == told


@pytest.mark.parametrize(
    ("workflow", "name"), [(WORKFLOW, "web01"), ("migrate/fleet/vc/web01", "migrate/fleet/vc/web01"), ("x", "x")]
)
def test_what_to_type_for_a_workflow_is_as_short_as_it_can_be(workflow: str, name: str) -> None:
    assert short_name(workflow) == name


def test_what_to_type_can_be_pasted_whatever_the_vm_is_called() -> None:
    told = status(vm="web 01 (old)", phase=Phase.AWAITING_APPROVAL)
    waiting = Seen("migrate/vc/web 01 (old)", Execution.RUNNING, phase=told.phase.value, status=told)

    assert waiting.next_command == "ferry approve 'web 01 (old)'"


def test_a_disk_that_is_being_proven_is_said_to_be() -> None:
    proof = Working("prove_target", disk="scsi0:0", step="proof", done=1 << 20, total=2 << 20)

    assert "proving" in drawn(migration_view(replace(running(), working=(proof,))))
