"""``ferry`` sees, steers and reports a fleet that runs on a real Temporal server."""

import csv
import os
from io import StringIO
from pathlib import Path

import pytest

from tests.workflows.test_cli_against_temporal import Shell
from tests.workflows.test_fleet import Fleet, fleet, some, soon

__all__ = ["fleet", "soon"]


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


async def test_a_cancel_undoes_who_runs_lets_nobody_begin_and_passes_over_who_has_ended(
    fleet: Fleet, ferry: Shell
) -> None:
    fleet.steps.bad, fleet.steps.hold_copies = {"ended"}, True
    await fleet.start(*some("ended", "runs", "waits"), at_once=1)
    await fleet.until(lambda seen: seen.failed and seen.copying == 1 and fleet.steps.copies == 1)
    name = fleet.source

    assert (await ferry("fleet", "cancel", name, "--yes")).code == 2
    unasked = await ferry("fleet", "cancel", name, "--vm", "waits")
    assert (unasked.code, "Cancel waits of fleet" in unasked.err) == (2, True)
    assert (await fleet.status()).standing == {"waiting": 1, "running": 1, "failed": 1}

    said = await ferry("fleet", "cancel", name, "--vm", "waits", "--who", "ann", "--yes")
    assert (said.code, said.out) == (0, "cancelled: 1 (waits)\n")
    assert (await fleet.status()).standing == {"running": 1, "failed": 1, "cancelled": 1}

    said = await ferry("fleet", "cancel", name, "--all", "--yes", "-o", "json")
    assert said.code == 3
    assert said.data == {"taken": ["runs"], "passed_over": {"ended": "failed", "waits": "cancelled"}}
    report = await fleet.report()
    assert report.not_done == {
        "ended": "vm.unknown", "runs": "migration.cancelled", "waits": "migration.cancelled"
    }  # fmt: skip
    assert fleet.steps.said[-3:] == ["change_tracking_off", "remove_shell", "release_source"]
    assert fleet.steps.ordered["release_source"].errand.vm == "runs"
    assert "waits" not in {order.errand.vm for order in fleet.steps.orders}

    late = await ferry("fleet", "cancel", name, "--all", "--yes")
    assert (late.code != 0, "error[message.wrong_phase]" in late.err) == (True, True)


async def test_a_retry_begins_who_failed_anew_lets_who_is_parked_go_on_and_passes_over_who_runs(
    fleet: Fleet, ferry: Shell
) -> None:
    fleet.steps.bad = {"failed"}
    fleet.steps.fail("copy_disk", "xapi.sr_full", "4 GiB are missing")
    await fleet.start(*some("failed", "parked", "runs"), at_once=1)
    status = await fleet.until(
        lambda seen: seen.failed and seen.needs_human and "awaiting-approval" in seen.waves[0].phases
    )
    assert (status.needs_human, status.asks) == ({"parked": "xapi.sr_full"}, ("runs",))
    name = fleet.source
    shown = (await ferry("status", f"fleet/{name}")).out
    assert f"ferry fleet retry {name} --vm failed" in shown
    assert f"ferry retry migrate/{name}/parked" in shown
    before = {vm: await run_of(fleet, vm) for vm in ("failed", "parked")}

    fleet.steps.bad = set()
    said = await ferry("fleet", "retry", name, "--all", "--who", "ann", "--note", "room was made")
    assert said.code == 3
    assert "tries again: 2 (failed, parked)" in said.out
    assert "in awaiting-approval" in said.out
    await fleet.until(lambda seen: len(seen.asks) == 3)

    assert await run_of(fleet, "parked") == before["parked"]
    assert await run_of(fleet, "failed") != before["failed"]
    rows = {row["vm"]: row for row in (await ferry("fleet", "status", name, "-o", "json")).data["rows"]}
    assert {vm: row["tries"] for vm, row in rows.items()} == {"failed": 2, "parked": 1, "runs": 1}
    assert not any(row["needs_human"] or row["code"] for row in rows.values())

    await fleet.handle.cancel()
    assert (await fleet.report()).standing == {"cancelled": 3}
    heard = [each.said for each in fleet.steps.recorded if each.kind == "message"]
    [retried] = [each for each in heard if each["message"] == "retry"]
    assert (retried["who"], retried["note"]) == ("ann", "room was made")


async def run_of(fleet: Fleet, vm: str) -> str | None:
    return (await fleet.client.get_workflow_handle(f"migrate/{fleet.source}/{vm}").describe()).run_id


async def test_one_that_is_to_begin_anew_counts_as_copied_no_more(fleet: Fleet, ferry: Shell) -> None:
    await fleet.start(*some("a"))
    await fleet.until(lambda seen: seen.asks)
    name = fleet.source
    assert (await ferry("fleet", "pause", name)).code == 0
    assert (await ferry("fleet", "add", name, "--vm", "b")).code == 0  # else the fleet were over with a
    assert (await ferry("fleet", "cancel", name, "--vm", "a", "--yes")).code == 0
    await fleet.until(lambda seen: seen.standing.get("cancelled"))
    assert (await ferry("fleet", "retry", name, "--vm", "a")).code == 0

    seen = (await ferry("fleet", "status", name, "-o", "json")).data
    [row] = [each for each in seen["rows"] if each["vm"] == "a"]
    assert (row["standing"], row["copied"], row["ended"], row["bytes_sent"]) == ("waiting", None, None, 0)
    assert (seen["pace"]["copied"], seen["pace"]["left"]) == (0, 2)
