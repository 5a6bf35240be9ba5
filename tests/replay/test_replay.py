"""Every history that was ever committed is replayed by today's code; none is ever rewritten."""

import base64
import hashlib
import json
import re
import socket
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from contracts.migration import MigrateVmInput
from tests.replay.record import HISTORIES, KINDS, SUMS
from workflows.migrate_vm import MigrateVm

FILES = sorted(HISTORIES.glob("*.json"))
RELEASES = sorted({file.name.split("-")[0] for file in FILES})


async def replay(history: dict[str, Any]) -> None:
    replayer = Replayer(workflows=[MigrateVm], data_converter=pydantic_data_converter)
    await replayer.replay_workflow(WorkflowHistory.from_json(history["workflowId"], {"events": history["events"]}))


def attributes(history: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [event[kind] for event in history["events"] if kind in event]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_history_of_a_real_migration_is_replayed(file):
    await replay(json.loads(file.read_text()))


def test_there_is_one_of_each_kind_of_each_release():
    assert RELEASES
    for release in RELEASES:
        for kind in KINDS:
            assert list(HISTORIES.glob(f"{release}-{kind}*.json")), f"{release} has no {kind}"


def test_a_committed_history_is_never_rewritten():
    listed = dict(reversed(line.split()) for line in SUMS.read_text().splitlines())

    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in FILES} == listed


def test_each_shows_what_its_name_says():
    def of(kind):
        return json.loads(min(HISTORIES.glob(f"0.1.0-{kind}*.json")).read_text())

    crashed = attributes(of("crash"), "activityTaskStartedEventAttributes")
    assert any(each["attempt"] > 1 and "timeoutFailureInfo" in each.get("lastFailure", {}) for each in crashed)
    assert attributes(of("continue-as-new"), "workflowExecutionContinuedAsNewEventAttributes")
    assert attributes(of("cancel"), "workflowExecutionCanceledEventAttributes")
    assert attributes(of("failed-activity"), "activityTaskFailedEventAttributes")
    names = [
        each["activityType"]["name"] for each in attributes(of("rollback"), "activityTaskScheduledEventAttributes")
    ]
    assert names.index("start_target") < names.index("stop_target") < names.index("power_on_source")


async def test_code_that_would_take_another_step_is_caught():
    history = json.loads((HISTORIES / "0.1.0-plain.json").read_text())
    for scheduled in attributes(history, "activityTaskScheduledEventAttributes"):
        if scheduled["activityType"]["name"] == "claim_source":
            scheduled["activityType"]["name"] = "make_shell"

    with pytest.raises(Exception, match=r"(?i)nondeterminism"):
        await replay(history)


async def test_todays_code_survives_the_state_of_a_newer_one():
    """A new run, begun by a worker that knew more: fields of the request, of the state, and of what is in it."""
    history = json.loads((HISTORIES / "0.1.0-continue-as-new-run-2.json").read_text())
    [started] = attributes(history, "workflowExecutionStartedEventAttributes")
    [payload] = started["input"]["payloads"]
    said = json.loads(base64.b64decode(payload["data"]))
    said["from_the_future"] = 1
    said["state"]["from_the_future"] = {"deep": [1, 2]}
    said["state"]["errand"]["from_the_future"] = True
    said["state"]["preflight"]["machine"]["from_the_future"] = "x"
    said["state"]["passes"][0]["from_the_future"] = None
    payload["data"] = base64.b64encode(json.dumps(said).encode()).decode()

    await replay(history)


def test_a_person_who_misspells_a_field_is_told_all_the_same():
    said = {"source": "vc", "vm": "web01", "target": "pool", "aproval": "auto"}
    for state in (None, {}, {"passes_this_run": 3}):
        with pytest.raises(ValueError, match="aproval"):
            MigrateVmInput.model_validate({**said, "state": state})


def test_no_history_tells_of_the_machine_it_was_recorded_on():
    for file in FILES:
        text = file.read_text()
        payloads = [base64.b64decode(each).decode(errors="replace") for each in re.findall(r'"data": "([^"]+)"', text)]
        everything = "\n".join([text, *payloads])
        for word in ("/tmp/", "/home/", "/work/", "/root/", f"@{socket.gethostname()}", "password"):
            assert word not in everything, f"{file.name} holds {word}"
