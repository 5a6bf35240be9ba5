"""Every history of a fleet that was ever committed is replayed by today's code; none is ever rewritten."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from workflows.migrate_fleet import MigrateFleet

FOLDER = Path(__file__).parent / "fleets"
FILES = sorted(FOLDER.glob("*.json"))


async def replay(text: str) -> None:
    history = json.loads(text)
    replayer = Replayer(workflows=[MigrateFleet], data_converter=pydantic_data_converter)
    await replayer.replay_workflow(WorkflowHistory.from_json(history["workflowId"], {"events": history["events"]}))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_history_of_a_fleet_is_replayed(file: Path) -> None:
    await replay(file.read_text())


def test_they_are_there_and_never_rewritten() -> None:
    listed = dict(reversed(line.split()) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())

    assert len(FILES) >= 2
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in FILES} == listed


async def test_code_that_would_begin_another_is_caught() -> None:
    text = FILES[0].read_text()
    other = re.sub(r'("workflowType": \{"name": )"MigrateVm"', r'\1"MigrateOther"', text)
    assert other != text

    with pytest.raises(Exception, match=r"(?i)nondeterminism"):
        await replay(other)
