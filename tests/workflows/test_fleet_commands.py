"""``ferry`` sees, steers and reports a fleet that runs on a real Temporal server."""

import csv
import os
from io import StringIO
from pathlib import Path

import pytest

from tests.workflows.test_cli_against_temporal import Shell
from tests.workflows.test_fleet import Fleet, fleet, some

__all__ = ["fleet"]


@pytest.fixture
def ferry(tmp_path: Path, fleet: Fleet) -> Shell:
    return Shell(tmp_path, fleet.client.service_client.config.target_host)


async def test_a_fleet_is_seen_approved_by_wave_and_reported(fleet: Fleet, ferry: Shell, tmp_path: Path) -> None:
    fleet.steps.bad = {"=bad()"}
    waves = [{"name": "pilot"}, {"name": "rest"}]
    members = [*some("a", "b", "=bad()", wave="pilot"), *some("c", wave="rest", after=["a"])]
    await fleet.start(*members, waves=waves)
    await fleet.until(lambda seen: len(seen.asks) == 3 and len(seen.failed) == 1)
    name = fleet.source

    seen = await ferry("status", f"fleet/{name}")
    if "SHOW" in os.environ:
        print(seen.out)
    assert seen.code == 5
    assert f"ferry fleet approve {name} --wave pilot" in seen.out
    assert "vm.unknown" in seen.out
    assert "a, which is running" in seen.out
    told = (await ferry("fleet", "status", name, "-o", "json")).data
    assert {row["vm"]: (row["standing"], row["asks"]) for row in told["rows"]} == {
        "a": ("running", True), "b": ("running", True), "=bad()": ("failed", False), "c": ("running", True),
    }  # fmt: skip
    assert told["pace"]["copied"] == 3

    assert (await ferry("fleet", "approve", name)).code == 2
    assert (await ferry("approve", f"fleet/{name}")).code == 2
    said = await ferry("fleet", "approve", name, "--wave", "pilot", "--who", "ann", "--yes")
    if "SHOW" in os.environ:
        print(said.out, said.err)
    assert (said.code, "approved: 2 (a, b)" in said.out) == (3, True)
    await fleet.until(lambda seen: seen.standing.get("done") == 2)
    assert (await ferry("fleet", "skip", name, "--vm", "=bad()")).code == 0
    assert (await ferry("fleet", "add", name, "--vm", "d", "--wave", "rest")).code == 0
    await fleet.until(lambda seen: len(seen.asks) == 2)
    assert (await ferry("fleet", "pause", name)).code == 0
    assert "paused by anna" in (await ferry("status", f"fleet/{name}")).out
    assert (await ferry("fleet", "resume", name)).code == 0
    assert (await ferry("fleet", "approve", name, "--all", "--yes", "-o", "json")).data["taken"] == ["c", "d"]
    assert (await fleet.report()).outcome == "partial"

    page, sheet = tmp_path / "f.html", tmp_path / "f.csv"
    assert (await ferry("report", f"fleet/{name}", "--html", str(page), "--csv", str(sheet))).code == 0
    ended = await ferry("report", f"fleet/{name}")
    if "SHOW" in os.environ:
        print(ended.out)
    assert ended.code == 3
    rows = {row["vm"]: row for row in csv.DictReader(StringIO(sheet.read_text()))}
    assert set(rows) == {"a", "b", "'=bad()", "c", "d"}
    assert (rows["a"]["outcome"], rows["a"]["approved_by"]) == ("done", "ann")
    assert rows["c"]["downtime_s"] != ""
    assert "=bad()" in page.read_text()
    assert "<script" not in page.read_text()


async def test_a_fleet_that_is_not_there_and_a_name_that_is_none(ferry: Shell) -> None:
    for arguments, code in (
        (("status", "fleet/nobody"), "workflow.unknown"),
        (("fleet", "resume", "nobody"), "message.wrong_phase"),
        (("fleet", "status", "a' OR 'b"), "request.invalid"),
        (("status", "--fleet", "a' OR 'b"), "request.invalid"),
    ):
        told = await ferry(*arguments)
        assert told.code != 0
        assert code in told.err
