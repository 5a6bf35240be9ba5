"""The four doors: docs/starting.md, played from its first line to its last, and what an old client sends over gRPC."""

import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    QueryWorkflowRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from contracts.names import SIGNAL_TWINS, Message
from contracts.told import Status
from starter.temporal_server import DevServer
from tests.crash.judging import equal
from tests.end_to_end.running import BIN, ROOT, programs

PAGE = ROOT / "docs" / "starting.md"
NAMES = [f"web{number:02}" for number in range(1, 9)]
HELD = ("web03", "web05")
"""Those that are rolled back in the middle of the second proof: it must not be over with the reads under way."""
DIRECTIVE = re.compile(r"^<!-- test: (.+) -->$")


def machines():
    return "".join(
        f"""
    - name: {name}
      power: on
      nics: [{{network: VM Network, mac: "00:50:56:aa:00:{number:02}"}}]
      disks: [{{size_mib: {48 if name in HELD else 8}, datastore: nfs1}}]
      guest: {{tools: running, writes_mib_per_s: 0.5, writes_span_mib: 4, shutdown_seconds: 0.2}}"""
        for number, name in enumerate(NAMES, 1)
    )


def scenes(page):
    """(kind, text) in order: a directive, or a block of commands with its language."""
    found, block, language = [], [], None
    for line in page.splitlines():
        if language is not None:
            if line == "```":
                found.append((language, "\n".join(block)))
                block, language = [], None
            else:
                block.append(line)
        elif line.startswith("```"):
            language = line.removeprefix("```")
        elif told := DIRECTIVE.match(line):
            found.append(("test", told[1]))
    return found


class Reader:
    """Reads the page as an operator would, and does what it says."""

    def __init__(self, running, server, cli):
        self.running, self.server = running, server
        self.environment = {
            **running.environment,
            "FERRY_CONFIG": str(running.config),
            "PATH": f"{BIN}:{Path(cli).parent}:{running.environment['PATH']}",
        }
        self.vm, self.refused, self.ran = "", "", []

    def play(self, page):
        for kind, text in scenes(page):
            if kind == "test":
                self.obey(text)
            elif kind == "sh":
                for command in text.splitlines():
                    self.run(command)
            elif kind == "python":
                self.done(subprocess.run([sys.executable, "-c", text], **self.how()), text)

    def run(self, command):
        named = re.search(r"web\d\d", command)
        self.vm = named[0] if named else self.vm
        command = command.replace("localhost:7243", self.server.http_address)
        for word, key in (("TICKET", "approval_ticket"), ("STARTED_AT", "started_at")):
            if word in command:
                self.until(self.vm, lambda seen, key=key: seen.get(key))
                command = command.replace(word, self.shown()[key])
        self.ran.append(command)
        self.done(subprocess.run(["bash", "-c", command], **self.how()), command)

    def how(self):
        return {"cwd": ROOT, "env": self.environment, "capture_output": True, "text": True, "timeout": 120}

    def done(self, ended, command):
        told = f"{command}\n{ended.stdout}\n{ended.stderr}"
        if self.refused:
            assert ended.returncode != 0, told
            assert self.refused in ended.stdout + ended.stderr, told
            self.refused = ""
        else:
            waits = 5 if command.startswith("ferry status") else 0  # status tells by its exit code, too
            assert ended.returncode in (0, waits), told

    def shown(self, vm=None):
        name = vm or self.vm
        ended = subprocess.run([str(BIN / "ferry"), "status", name, "-o", "json"], **self.how())
        return json.loads(ended.stdout) if ended.stdout.strip() else {}

    def until(self, vm, wanted):
        deadline = time.monotonic() + 60
        while not wanted(seen := self.shown(vm)):
            assert time.monotonic() < deadline, f"{self.ran[-1]}\nand then never: {json.dumps(seen, indent=1)}"
            time.sleep(0.5)

    def obey(self, text):
        match text.split():
            case ["until", vm, phase]:
                self.until(vm, lambda seen: seen.get("phase") == phase and not seen.get("needs_human"))
                self.until(vm, lambda seen: seen.get("phase") != "awaiting-approval" or seen.get("awaits_approval"))
            case ["ended", vm, outcome]:
                self.until(vm, lambda seen: seen.get("report"))
                assert self.shown(vm)["report"]["outcome"] == outcome
            case ["asked", vm, code]:
                self.until(vm, lambda seen: seen.get("needs_human") == code)
            case ["started", vm]:
                self.holding.join(60)
                self.until(vm, lambda seen: seen.get("phase") == "start" and seen.get("started_at"))
                # The time is set before the call and again after it.
                self.until(vm, lambda seen: any(each["activity"] == "prove_source" for each in seen["activities"]))
            case ["refused", code]:
                self.refused = code
            case ["the", "SR", "is", "full"]:
                self.running.xapi("faults", method="VM.snapshot", action="error", argument=["SR_FULL", "0", "0"])
            case [vm, "is", "held", "after", "its", "start"]:
                self.hold(vm)
            case ["mend"]:
                self.running.mend()
            case ["signals", vm]:
                heard = {each.name: each.outcome for each in asyncio.run(self.status(vm)).signals}
                assert heard == dict.fromkeys(SIGNAL_TWINS, "accepted")
            case _:
                raise AssertionError(f"the page says {text!r}, which no reader understands")

    async def status(self, vm):
        """Also of one that has ended: it still answers."""
        client = await Client.connect(self.server.address, data_converter=pydantic_data_converter)
        return await client.get_workflow_handle(f"migrate/vsphere/{vm}").query("status", result_type=Status)

    def hold(self, vm):
        """The second proof takes its time, so that there is one for a rollback."""
        self.running.vcenter("faults", method="GET /folder", action="delay", delay=1.0, count=-1)

        def when_started():
            for _ in range(3000):
                if any(event[1] == vm and event[2] == "Running" for event in self.running.xapi("power")):
                    self.running.mend()
                    for door in ("GET /folder", "GET /nfc"):
                        self.running.vcenter("faults", method=door, action="http", argument=503, count=-1)
                    return
                time.sleep(0.02)

        self.holding = threading.Thread(target=when_started, daemon=True)
        self.holding.start()


@pytest.fixture
def reader(tmp_path, temporal_cli):
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(
        f"vsphere:\n  datastores: [{{name: nfs1, type: NFS}}]\n  vms:{machines()}\n"
        "xcpng:\n  srs: [{name: local-ext, type: ext, size_gib: 64}]\n  networks: [{name: lan}]\n"
    )
    with DevServer(tmp_path / "temporal", cli=temporal_cli) as server, programs(tmp_path, server.address) as running:
        running.lab(inventory)
        running.worker()
        yield Reader(running, server, temporal_cli)


def judged(reader, vm):
    [disk] = reader.running.pool()[vm]["disks"]
    return equal(reader.running.state / f"vsphere/nfs1/{vm}/{vm}-flat.vmdk", Path(disk["snapshot_file"]))


@pytest.mark.timeout(500)
def test_every_command_of_the_page_is_run_and_old_clients_come_in_too(reader):
    reader.play(PAGE.read_text())

    said = "\n".join(reader.ran)
    assert all(f"--name {message.value} " in said for message in Message)
    assert all(f"--name {signal} " in said for signal in SIGNAL_TWINS)
    assert all(judged(reader, vm) for vm in ("web01", "web02", "web06", "web07"))
    power = {name: each["power"] for name, each in reader.running.vcenter("state").items()}
    assert {name for name, state in power.items() if state == "poweredOn"} == {"web03", "web04", "web05", "web08"}

    asyncio.run(an_old_client_starts_approves_and_sees_the_end(reader))
    assert judged(reader, "web08")
    asyncio.run(temporals_own_page_tells_the_story(reader))


async def an_old_client_starts_approves_and_sees_the_end(reader):
    """Only what tctl sent: no updates, no build ids, no user metadata."""

    def object_of(**said):
        return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(said).encode())])

    service = (await Client.connect(reader.server.address)).workflow_service
    execution = WorkflowExecution(workflow_id="web08")
    await service.start_workflow_execution(
        StartWorkflowExecutionRequest(
            namespace="default",
            workflow_id="web08",
            workflow_type=WorkflowType(name="MigrateVm"),
            task_queue=TaskQueue(name="ferry"),
            input=object_of(source="vsphere", vm="web08", target="lab"),
            identity="tctl@test",
            request_id="tctl-1",
        )
    )
    while True:
        query = QueryWorkflowRequest(namespace="default", execution=execution)
        query.query.query_type = "status"
        answer = await service.query_workflow(query)
        status = Status.model_validate_json(answer.query_result.payloads[0].data)
        if status.phase == "awaiting-approval":
            break
        await asyncio.sleep(0.2)
    await service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=execution,
            signal_name="approve_cutover",
            input=object_of(who="ann", approval_ticket=status.approval_ticket),
            identity="tctl@test",
        )
    )
    history = await service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(
            namespace="default", execution=execution, wait_new_event=True, history_event_filter_type=2
        )
    )
    while not history.history.events:
        history = await service.get_workflow_execution_history(
            GetWorkflowExecutionHistoryRequest(
                namespace="default", execution=execution, wait_new_event=True, history_event_filter_type=2,
                next_page_token=history.next_page_token,
            )
        )  # fmt: skip
    [last] = history.history.events
    assert last.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    report = json.loads(last.workflow_execution_completed_event_attributes.result.payloads[0].data)
    assert report["outcome"] == "done"
    described = await service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(namespace="default", execution=execution)
    )
    attributes = described.workflow_execution_info.search_attributes.indexed_fields
    assert json.loads(attributes["FerryPhase"].data) == "done"


async def temporals_own_page_tells_the_story(reader):
    """Summaries of the workflow, its activities and timers; the page in Markdown."""
    client = await Client.connect(reader.server.address, data_converter=pydantic_data_converter)
    handle = client.get_workflow_handle("migrate/vsphere/web06")
    described = await handle.describe()
    assert await described.static_summary() == "web06: vsphere → lab"
    assert "delta pass every" in (await described.static_details() or "")
    summaries = {}
    async for event in handle.fetch_history_events():
        if event.user_metadata.HasField("summary"):
            summaries.setdefault(event.event_type, []).append(json.loads(event.user_metadata.summary.data))
        assert event.event_type not in (
            EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, EventType.EVENT_TYPE_TIMER_STARTED,
        ) or event.user_metadata.HasField("summary"), event  # fmt: skip
    assert "copy scsi0:0, pass 1" in summaries[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
    assert "until the next delta pass" in summaries[EventType.EVENT_TYPE_TIMER_STARTED]
    metadata = await handle.query("__temporal_workflow_metadata")
    assert "**web06**: vsphere → lab" in metadata.current_details
    assert "| pass | kind |" in metadata.current_details
