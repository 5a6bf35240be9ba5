"""A migration without a fleet tells people itself."""

import asyncio
from datetime import timedelta

import pytest

from contracts.notices import Event
from tests.workflows.one_workflow import Migration


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
