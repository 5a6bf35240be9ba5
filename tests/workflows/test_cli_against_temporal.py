"""The ``ferry`` command as people and scripts run it, on the real Temporal server, against a stand-in workflow."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from contracts.names import CAPACITY_ID, QUEUE, TRANSFER_QUEUE
from starter.main import run
from starter.polling import unpolled
from starter.temporal_server import DevServer
from tests.support import register_search_attributes
from tests.workflows.standin import TICKET, StandIn, StandInInspect, copy_disk

CONFIG = """
[sources.vc]
url = "https://vc.example"
username = "ferry"
password = "env:NOT_SET_AND_NOT_READ"

[targets.pool]
url = "https://pool.example"
username = "root"
password = "env:NOT_SET_AND_NOT_READ"
"""


FERRY_AT_A_TERMINAL = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from starter.main import main; main()"
)
"""With Ctrl-C heard, also where the tests themselves run in the background of a script, which ignores it."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """stdout as JSON: all of it, or the test fails."""
        return json.loads(self.out)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path) -> Iterator[DevServer]:
    """A server of our own: it remembers for minutes who polled, and other tests poll too."""
    with DevServer(tmp_path_factory.mktemp("cli"), cli=temporal_cli) as server:
        asyncio.run(register_search_attributes(server.address))
        yield server


@pytest.fixture(scope="module")
def lonely_server(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path) -> Iterator[DevServer]:
    """A server that never saw a worker, nor a search attribute."""
    with DevServer(tmp_path_factory.mktemp("lonely"), cli=temporal_cli) as server:
        yield server


@pytest.fixture
async def client(server: DevServer) -> Client:
    return await Client.connect(server.address, data_converter=pydantic_data_converter)


@pytest.fixture
async def worker(client: Client) -> AsyncIterator[None]:
    """Both queues, as the real worker polls them."""
    lively = Worker(client, task_queue=QUEUE, workflows=[StandIn, StandInInspect], activities=[copy_disk])
    async with lively, Worker(client, task_queue=TRANSFER_QUEUE, activities=[copy_disk]):
        for _ in range(100):  # its first polls are on their way to the server
            if not await unpolled(client):
                break
            await asyncio.sleep(0.1)
        yield
        async for each in client.list_workflows("ExecutionStatus = 'Running'"):
            await client.get_workflow_handle(each.id).terminate()


class Shell:
    """Runs ``ferry``: in a thread, which is five times faster than a process; or by :meth:`begin` as a shell does."""

    def __init__(self, folder: Path, address: str) -> None:
        self.config = folder / "ferry.toml"
        self.config.write_text(CONFIG)
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("TEMPORAL_", "FERRY_", "COLUMNS"))
        }
        self.environment = {**kept, "TEMPORAL_ADDRESS": address, "FERRY_CONFIG": str(self.config), "USER": "anna"}

    async def __call__(self, *arguments: str) -> Ended:
        out, err = StringIO(), StringIO()
        # Not patch.dict: that changes the process's own environment, which the SDK's threads read without a lock.
        with patch.object(os, "environ", self.environment), redirect_stdout(out), redirect_stderr(err):
            code = await asyncio.wait_for(asyncio.to_thread(run, list(arguments)), 60)
        assert "Traceback" not in err.getvalue()
        return Ended(code, out.getvalue(), err.getvalue())

    async def begin(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            FERRY_AT_A_TERMINAL,
            *arguments,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


async def line_of_progress(process: asyncio.subprocess.Process) -> str:
    """The first line of JSON that it says on stderr."""
    assert process.stderr is not None
    while not (line := (await asyncio.wait_for(process.stderr.readline(), 30)).decode()).startswith("{"):
        assert line, "it ended without a line of progress"
    return line


async def eventually(ask: Callable[[], Awaitable[Ended]], seen: Callable[[Ended], bool]) -> Ended:
    """Ask until it is seen: visibility and heartbeats come a moment later."""
    for _ in range(40):
        told = await ask()
        if seen(told):
            return told
        await asyncio.sleep(0.25)
    return told


@pytest.fixture
def ferry(tmp_path: Path, server: DevServer) -> Shell:
    return Shell(tmp_path, server.address)


@pytest.fixture
def lonely_ferry(tmp_path: Path, lonely_server: DevServer) -> Shell:
    return Shell(tmp_path, lonely_server.address)


async def test_a_migration_is_started_watched_approved_and_ends_well(ferry: Shell, worker: None) -> None:
    started = await ferry("start", "web01", "-o", "json")
    shown = await ferry("status", "web01", "-o", "json")
    approved = await ferry("approve", "web01", "--yes", "--note", "CHG-4711")
    ended = await ferry("status", "web01", "--watch", "-o", "json")

    assert started.code == 0
    assert started.data["workflow_id"] == "migrate/vc/web01"
    assert "warning" not in started.err
    assert shown.code == 5
    assert shown.data["next_command"] == "ferry approve web01"
    assert shown.data["approval_ticket"] == TICKET
    assert approved.code == 0
    assert "disk scsi0:0: 8.0 GiB" in approved.err, "what is approved is shown to whoever approves"
    assert ended.code == 0
    assert ended.data["report"]["outcome"] == "done"
    decision = ended.data["report"]["decisions"][0]
    assert (decision["who"], decision["note"]) == ("anna", "CHG-4711")


async def test_a_second_start_of_a_vm_is_a_conflict_until_the_first_has_ended(ferry: Shell, worker: None) -> None:
    await ferry("start", "web02")
    second = await ferry("start", "web02")
    await ferry("approve", "web02", "--yes")
    third = await ferry("start", "web02")

    assert second.code == 9
    assert "error[workflow.already_running]" in second.err
    assert third.code == 0


async def test_a_yes_for_other_facts_is_refused_as_stale(ferry: Shell, worker: None) -> None:
    await ferry("start", "web03")
    refused = await ferry("approve", "web03", "--ticket", "ffffffffffff")

    assert refused.code == 6
    assert "error[message.stale_ticket]" in refused.err


async def test_a_yes_after_a_no_counts_although_its_ticket_is_the_same(ferry: Shell, worker: None) -> None:
    await ferry("start", "web04")
    await ferry("approve", "web04", "--yes", "--note", "then think again")
    await ferry("reject", "web04")
    await ferry("approve", "web04", "--yes")
    ended = await ferry("status", "web04", "-o", "json")

    assert ended.data["execution"] == "completed"
    assert [each["decision"] for each in ended.data["report"]["decisions"]] == ["approved", "rejected", "approved"]


async def test_waiting_ends_with_five_when_a_human_is_needed(ferry: Shell, worker: None) -> None:
    waited = await ferry("start", "web05", "--wait", "-o", "json")

    assert waited.code == 5
    assert waited.data["waits_for_human"] is True
    assert "ferry approve web05" in waited.err


async def test_waiting_with_auto_approval_does_not_ask(ferry: Shell, worker: None, client: Client) -> None:
    process = await ferry.begin("start", "web06", "--approval", "auto", "--wait", "-o", "json")
    first = json.loads(await line_of_progress(process))
    still_waits = process.returncode is None
    await ferry("approve", "web06", "--yes")
    out, _ = await asyncio.wait_for(process.communicate(), 30)

    assert still_waits
    assert process.returncode == 0
    assert json.loads(out)["outcome"] == "done"
    assert first["phase"] == "awaiting-approval"


async def test_a_blocked_preflight_ends_with_four_and_names_its_code(ferry: Shell, worker: None) -> None:
    waited = await ferry("start", "blocked", "--wait", "-o", "json")
    shown = await ferry("status", "blocked")

    assert waited.code == 4
    assert waited.data["outcome"] == "failed"
    assert "error[preflight.rdm_disk]: disk 2" in waited.err
    assert shown.code == 1
    assert "preflight.rdm_disk" in shown.out


async def test_disks_that_differ_end_a_wait_with_seven(ferry: Shell, worker: None) -> None:
    process = await ferry.begin("start", "looks-wrong", "--approval", "auto", "--wait")
    await line_of_progress(process)
    await ferry("approve", "looks-wrong", "--yes")
    await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 7


async def test_status_shows_live_numbers_from_heartbeats(ferry: Shell, worker: None) -> None:
    await ferry("start", "copying")
    shown = await eventually(
        lambda: ferry("status", "copying", "-o", "json"),
        lambda told: any(each["done"] for each in told.data["activities"]),
    )
    table = await ferry("status", "copying")

    assert shown.code == 8
    (copy,) = shown.data["activities"]
    assert (copy["disk"], copy["done"], copy["total"]) == ("scsi0:0", 64 << 20, 256 << 20)
    assert copy["eta_s"] == pytest.approx(6.0)
    assert "64.0 MiB" in table.out
    assert "32.0 MiB/s" in table.out

    ferry.environment["COLUMNS"] = "80"
    narrow = await ferry("status", "copying")
    ferry.environment.pop("COLUMNS")

    assert "64.0 MiB" in narrow.out, "numbers are not folded on a narrow terminal"
    assert "32.0 MiB/s" in narrow.out
    print(narrow.out)


async def test_what_needs_a_human_is_named_and_retried(ferry: Shell, worker: None) -> None:
    await ferry("start", "parked")
    shown = await ferry("status", "parked")
    retried = await ferry("retry", "parked")
    again = await ferry("retry", "parked")

    assert shown.code == 5
    assert "xapi.sr_full" in shown.out
    assert "ferry retry parked" in shown.out
    assert retried.code == 0
    assert again.code == 9


async def test_a_rollback_names_the_time_since_which_writes_are_lost(ferry: Shell, worker: None) -> None:
    await ferry("start", "started")
    unasked = await ferry("rollback", "started")
    rolled = await ferry("rollback", "started", "--yes")
    ended = await ferry("status", "started", "--watch", "-o", "json")

    assert unasked.code == 2, "nobody can be asked here, and nobody said --yes"
    assert rolled.code == 0
    assert "2026-11-23T12:00:00.250000+00:00 is lost" in rolled.err
    assert ended.code == 1
    assert ended.data["report"]["outcome"] == "rolled-back"


async def test_a_pause_says_in_whose_name(ferry: Shell, worker: None) -> None:
    await ferry("start", "web07")
    await ferry("pause", "web07", "--who", "bob")
    shown = await ferry("status", "web07", "-o", "json")

    assert shown.data["message"] == "pause by bob"


async def test_a_cancel_says_what_it_will_do_and_does_it(ferry: Shell, worker: None) -> None:
    await ferry("start", "web08")
    cancelled = await ferry("cancel", "web08", "--yes")
    ended = await ferry("status", "web08", "--watch", "-o", "json")

    assert cancelled.code == 0
    assert "web08 stays on the source" in cancelled.err
    assert ended.code == 1
    assert ended.data["execution"] == "cancelled"
    assert ended.data["report"]["outcome"] == "cancelled"


async def test_all_migrations_are_listed(ferry: Shell, worker: None) -> None:
    await ferry("start", "web09")
    listed = await eventually(
        lambda: ferry("status", "-o", "json"),
        lambda told: "migrate/vc/web09" in [row["workflow_id"] for row in told.data],
    )
    table = await ferry("status")

    assert "migrate/vc/web09" in [row["workflow_id"] for row in listed.data]
    assert "web09" in table.out


async def test_a_name_is_found_without_any_config(ferry: Shell, worker: None, tmp_path: Path) -> None:
    await ferry("start", "web10")
    ferry.config.write_text("")
    shown = await eventually(lambda: ferry("status", "web10", "-o", "json"), lambda told: bool(told.out))
    full = await ferry("status", "migrate/vc/web10", "-o", "json")

    assert shown.data["workflow_id"] == full.data["workflow_id"] == "migrate/vc/web10"


async def test_a_migration_nobody_started_is_unknown(ferry: Shell, worker: None) -> None:
    shown = await ferry("status", "nobody")

    assert shown.code == 2
    assert "error[workflow.unknown]" in shown.err
    assert shown.out == ""


async def test_ctrl_c_ends_the_watching_and_not_the_work(ferry: Shell, worker: None) -> None:
    import signal

    await ferry("start", "web11")
    process = await ferry.begin("status", "web11", "--watch")
    await line_of_progress(process)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 10)
    shown = await ferry("status", "web11")

    assert process.returncode == 130
    assert "the migration goes on; watch it with `ferry status web11 --watch`" in err.decode()
    assert "Traceback" not in err.decode()
    assert shown.code == 5


async def test_the_inventory_and_the_doctor_ask_a_worker(ferry: Shell, worker: None) -> None:
    listed = await ferry("inventory", "-o", "json")
    unknown = await ferry("inventory", "--source", "nowhere")
    checked = await ferry("doctor", "-o", "json")

    assert listed.data[0]["name"] == "web01"
    assert unknown.code == 2
    assert "error[request.unknown_system]" in unknown.err
    assert checked.code == 10, "the first failure is a refused login"
    assert [(each["what"], each["ok"]) for each in checked.data] == [
        ("config", True),
        ("payloads", True),
        ("temporal", True),
        ("temporal server", True),
        ("search attributes", True),
        ("worker ferry", True),
        ("worker ferry-transfer", True),
        ("vsphere vc", True),
        ("xcp-ng lab", False),
    ]


async def test_without_a_worker_a_start_is_accepted_with_a_warning_and_status_says_why(lonely_ferry: Shell) -> None:
    began = asyncio.get_running_loop().time()
    started = await lonely_ferry("start", "web01")
    shown = await lonely_ferry("status", "web01", "-o", "json")
    took = asyncio.get_running_loop().time() - began
    approved = await lonely_ferry("approve", "web01", "--yes")
    listed = await lonely_ferry("status")

    assert started.code == 0
    assert "warning[temporal.no_worker]" in started.err
    assert shown.code == 1
    assert "error[temporal.no_worker]" in shown.err
    assert shown.data["execution"] == "running", "what Temporal knows is told all the same"
    assert took < 12
    assert approved.code == 1
    assert "web01" in listed.out


async def test_without_a_worker_a_fleet_permits_and_a_record_say_so(
    lonely_ferry: Shell, lonely_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starter.fleets.ANSWER_WITHIN", 2.0)
    monkeypatch.setattr("starter.capacity.ANSWER_WITHIN", timedelta(seconds=2))
    client = await Client.connect(lonely_server.address)
    for workflow in ("fleet/lonely", CAPACITY_ID, "migrate/vc/lonely"):
        await client.start_workflow("Anything", id=workflow, task_queue=QUEUE)

    for words in (["status", "fleet/lonely"], ["capacity"], ["report", "migrate/vc/lonely", "--export", "x.jsonl"]):
        ended = await lonely_ferry(*words)
        assert (ended.code, ended.err.partition("]")[0]) == (1, "error[temporal.no_worker"), words


async def test_the_doctor_names_what_is_missing_without_a_worker(lonely_ferry: Shell) -> None:
    checked = await lonely_ferry("doctor", "-o", "json")
    inventory = await lonely_ferry("inventory")

    assert checked.code == 1
    told = {each["what"]: each for each in checked.data}
    assert "FerryPhase" in told["search attributes"]["line"]
    assert told["worker ferry"]["code"] == "temporal.no_worker"
    assert told["systems"]["ok"] is None
    assert "error[temporal.no_worker]" in inventory.err
