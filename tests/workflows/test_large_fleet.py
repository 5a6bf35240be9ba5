"""A fleet of 5,000: its state is larger than what Temporal takes of one payload, and is carried all the same."""

import asyncio
import os
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from contracts.config import TemporalConfig
from contracts.fleet import MOST_MEMBERS, FleetAck, FleetReport, FleetState, MemberState, MemberTold, Standing, Yes
from contracts.names import MIGRATE_FLEET, QUEUE, Phase
from starter.fleets import look_at
from starter.temporal_server import DevServer
from tests.workflows.test_fleet import FleetSteps
from trust.converting import converter_of
from workflows.fleet_messages import MOST_LETTERS
from workflows.migrate_fleet import MigrateFleet
from workflows.migrate_vm import MigrateVm

NOW = datetime.now(UTC)


def state_of(vm: str) -> MemberState:
    """As of one that waits for its window, with words as long as they become."""
    told = MemberTold(
        workflow=f"migrate/vc/{vm}", run=str(uuid.uuid4()), phase=Phase.AWAITING_APPROVAL, ticket=os.urandom(6).hex(),
        approved=True, bytes_sent=int.from_bytes(os.urandom(5)), bytes_total=int.from_bytes(os.urandom(5)),
        rate=1e8 / 3, passes=12, message="predicted to be off for 3m 20s",
    )  # fmt: skip
    yes = Yes(who="ann", ticket=told.ticket, at=NOW, sent=True, heard=True)
    return MemberState(
        standing=Standing.CANCELLED, tries=1, told=told, yes=yes, began=NOW, copied=NOW, approved_by="ann"
    )


@pytest.mark.timeout(300)
async def test_five_thousand_members_are_carried_from_run_to_run_and_told(
    dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.timing.EVENTS_PER_RUN", 30)
    client = await Client.connect(dev_server.address, data_converter=converter_of(TemporalConfig()))
    fleet = f"large{uuid.uuid4().hex[:8]}"
    vms = [f"vm{number:04}" for number in range(MOST_MEMBERS)]
    members = [
        {"vm": vm, "wave": f"w{at // 250}", **({"after": [vms[at - 1]]} if at % 5 else {})} for at, vm in enumerate(vms)
    ]
    known = {vm: state_of(vm) for vm in vms[:-1]}
    said: dict[str, Any] = {
        "fleet": fleet, "defaults": {"source": "vc", "target": "pool"}, "members": members,
        "waves": [{"name": f"w{number}"} for number in range(MOST_MEMBERS // 250)],
        "state": FleetState(members=known, paused=True).model_dump(mode="json"),
    }  # fmt: skip
    plain = converter_of(TemporalConfig()).payload_converter.to_payload(said)
    assert len(plain.data) > 2 << 20, "else Temporal would take it as it is"
    async with Worker(client, task_queue=QUEUE, workflows=[MigrateFleet, MigrateVm], activities=FleetSteps().all()):
        handle = await client.start_workflow(
            MIGRATE_FLEET, said, id=f"fleet/{fleet}", task_queue=QUEUE, result_type=FleetReport
        )
        for _ in range(20):  # each changes its state
            await handle.execute_update("pause", {"who": "ann"}, result_type=FleetAck)
        seen = await look_at(client, fleet)
        while seen.status.runs < 3:
            await handle.execute_update("pause", {"who": "ann"}, result_type=FleetAck)
            seen = await look_at(client, fleet)
        assert (len(seen.members), seen.status.standing) == (
            MOST_MEMBERS,
            {"cancelled": MOST_MEMBERS - 1, "waiting": 1},
        )
        assert seen.members[17].bytes_sent == known["vm0017"].told.bytes_sent  # type: ignore[union-attr]
        await handle.execute_update("skip", {"who": "ann", "vms": [vms[-1]]}, result_type=FleetAck)
        report: FleetReport = await asyncio.wait_for(handle.result(), 60)
    assert (report.members, report.standing["skipped"]) == (MOST_MEMBERS, 1)
    history = await client.get_workflow_handle(f"fleet/{fleet}").fetch_history()
    assert history.events[0].ByteSize() < 600 << 10


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["pause", "cancel"])
async def test_more_members_are_written_to_than_temporal_takes_letters_at_once(
    dev_server: DevServer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("workflows.timing.EVENTS_PER_RUN", 500)
    client = await Client.connect(dev_server.address, data_converter=converter_of(TemporalConfig()))
    fleet = f"large{uuid.uuid4().hex[:8]}"
    running = state_of("x").model_copy(update={"standing": Standing.RUNNING, "yes": None})
    vms = [f"vm{number:04}" for number in range(2100)]
    said: dict[str, Any] = {
        "fleet": fleet, "defaults": {"source": fleet, "target": "pool"}, "members": [{"vm": vm} for vm in vms],
        "state": FleetState(members=dict.fromkeys(vms, running)).model_dump(mode="json"),
    }  # fmt: skip
    async with Worker(client, task_queue=QUEUE, workflows=[MigrateFleet, MigrateVm], activities=FleetSteps().all()):
        handle = await client.start_workflow(
            MIGRATE_FLEET, said, id=f"fleet/{fleet}", task_queue=QUEUE, result_type=FleetReport
        )
        if how == "pause":
            ack = await handle.execute_update("pause", {"who": "ann", "everyone": True}, result_type=FleetAck)
            assert len(ack.taken) == len(vms)
        else:
            await handle.cancel()
        report: FleetReport = await asyncio.wait_for(handle.result(), 120)
    assert report.standing == {"failed": len(vms)}, "every letter was sent, and found nobody"
    if how == "pause":
        runs = [each async for each in client.list_workflows(f"WorkflowId = 'fleet/{fleet}'")]
        sizes = [(await client.get_workflow_handle(each.id, run_id=each.run_id).describe()).history_length
                 for each in runs]  # fmt: skip
        assert len(sizes) > 1, "what a run has no room for goes along"
        assert max(sizes) < 500 + 2 * MOST_LETTERS + 100
