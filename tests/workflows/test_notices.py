"""A migration without a fleet tells people itself."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.notifying import NotifyingActivities
from activities.systems import Systems
from contracts.names import QUEUE, TRANSFER_QUEUE
from contracts.notices import Event
from disks.folder_store import FolderStore
from tests.unit.test_notifying import Receiver, config, receiver
from tests.workflows.one_workflow import Migration
from tests.workflows.scripted_steps import ScriptedSteps
from workflows.migrate_vm import MigrateVm

__all__ = ["receiver"]


async def test_a_yes_is_asked_for_once_however_many_passes_go_by(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.timing.GATHER_NOTICES", timedelta(seconds=0.2))
    await migration.start(delta_interval="1s")
    for _ in range(100):
        status = await migration.status()
        if len(status.passes) >= 4:
            break
        await asyncio.sleep(0.1)
    assert len(status.passes) >= 4

    [notice] = migration.steps.notices
    assert notice.event is Event.APPROVAL
    assert notice.text.startswith(f"{status.vm} waits for a yes")


@pytest.fixture
async def posting(
    temporal_client: Client, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Migration]:
    """A migration whose worker posts to the receiver by the real activity."""
    monkeypatch.setenv("HOOK_SECRET", "k3y-of-the-hook")
    monkeypatch.setattr("workflows.timing.GATHER_NOTICES", timedelta(seconds=0.2))
    steps = ScriptedSteps()
    systems = Systems(
        {}, {}, FolderStore(tmp_path / "store"), notify=config(receiver, tmp_path, secret="env:HOOK_SECRET")
    )
    activities = [each for each in steps.all() if each.__name__ != "notify"] + [NotifyingActivities(systems).notify]
    made = Migration(temporal_client, steps)
    workflows = Worker(temporal_client, task_queue=QUEUE, workflows=[MigrateVm], activities=activities)
    async with workflows, Worker(temporal_client, task_queue=TRANSFER_QUEUE, activities=steps.all()):
        yield made
        await made.handle.terminate()


async def test_a_migration_that_parks_is_posted_once_each_time_also_where_the_receiver_is_away_for_a_moment(
    posting: Migration, receiver: Receiver
) -> None:
    receiver.answers = [503]
    posting.steps.fail("copy_disk", "xapi.sr_full", "4 GiB are missing")
    await posting.start(delta_interval="1h")
    await posting.until(lambda status: status.needs_human)
    await posting.until(lambda _: len(receiver.got) == 2)

    workflow = posting.handle.id
    [(first, body), (again, same)] = receiver.got
    assert (first["Idempotency-Key"], body) == (again["Idempotency-Key"], same)
    assert first["X-Ferry-Signature"] == f"sha256={hmac.new(b'k3y-of-the-hook', body, hashlib.sha256).hexdigest()}"
    said = json.loads(body)
    assert (said["event"], said["code"], said["fleet"]) == ("needs-human", "xapi.sr_full", "")
    assert said["text"] == f"web01 needs a human: xapi.sr_full, 4 GiB are missing\nferry status {workflow}"
    assert (said["workflow"], said["command"]) == (workflow, f"ferry status {workflow}")

    posting.steps.fail("copy_disk", "xapi.sr_full", "1 GiB is missing")
    await posting.update("retry")
    await posting.until(lambda _: len(receiver.got) == 3)
    later, body = receiver.got[2]
    assert later["Idempotency-Key"] != first["Idempotency-Key"]
    assert "1 GiB is missing" in json.loads(body)["text"]
    await asyncio.sleep(0.5)
    assert len(receiver.got) == 3
