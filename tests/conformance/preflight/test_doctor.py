"""`ferry doctor` makes the preflight's checks of whole systems, by a worker, and touches nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.inspection import InspectionActivities
from checks import CHECKS
from contracts.error_catalogue import CATALOGUE
from contracts.inspection import InspectRequest, SystemCheck
from contracts.notices import NotifyConfig
from tests.conformance.preflight.cases_pool import BACKUP, elsewhere
from tests.conformance.preflight.cases_source import NOWHERE
from tests.conformance.preflight.looking import Case, both_sides


async def doctor(folder: Path, case: Case, **worker: Any) -> tuple[SystemCheck, ...]:
    """What a worker says; ``worker``: what its ferry.toml has besides."""
    with both_sides(folder, case) as (vcenter, pool, systems):
        if case.before is not None:
            case.before(vcenter, pool)
        report = await ActivityEnvironment().run(
            InspectionActivities(replace(systems, **worker)).inspect, InspectRequest(what="systems")
        )
        return report.systems


def told(lines: tuple[SystemCheck, ...], topic: str) -> SystemCheck:
    return next(each for each in lines if each.topic == topic)


async def test_a_lab_without_trouble_is_told_line_by_line(tmp_path: Path) -> None:
    lines = await doctor(tmp_path, Case("nothing"))

    assert [(each.kind, each.topic, each.ok) for each in lines] == [
        ("worker", "store", True),
        ("worker", "python", True),
        ("source", "", True),
        ("source", "privileges", True),
        ("source", "hosts", True),
        ("source", "datastores", True),
        ("source", "clock", True),
        ("target", "", True),
        ("target", "role", True),
        ("target", "hosts", True),
        ("target", "SR", True),
        ("target", "way", True),
        ("target", "reading back", True),
        ("target", "clock", True),
    ]
    assert not any(each.code for each in lines)


async def test_what_fails_has_a_code_of_the_catalogue_and_a_note_is_no_failure(tmp_path: Path) -> None:
    odd = Case(
        "many",
        vcenter={
            "hosts": [{"name": NOWHERE, "version": "6.0.0", "build": "3029758"}],
            "privileges_missing": ["VirtualMachine.State.CreateSnapshot"], "clock_skew_seconds": 600,
        },
        source={"nfs": {"nfs1": "/nowhere/nfs1"}},
        pool={**BACKUP, "role": "vm-admin", "high_availability": True},
        before=elsewhere,
    )  # fmt: skip

    lines = await doctor(tmp_path, odd)

    failed = {each.code for each in lines if each.ok is False}
    noted = {each.code for each in lines if each.ok and each.code}
    assert failed == {
        "preflight.privilege_missing", "preflight.host_name", "preflight.source_known_bad",
        "preflight.export_not_seen", "preflight.role_too_low", "preflight.pool_unreachable",
    }  # fmt: skip
    assert noted == {"preflight.clock_skew", "preflight.ha_enabled"}
    assert all(code in CATALOGUE and code in CHECKS for code in failed | noted)


async def test_what_a_system_does_not_tell_is_said_to_be_unknown(tmp_path: Path) -> None:
    lines = await doctor(tmp_path, Case("old", vcenter={"answers_privileges": "none"}))

    assert told(lines, "privileges").ok is None
    assert told(lines, "hosts").ok is True


async def test_a_system_that_lets_nobody_in_is_one_line(tmp_path: Path) -> None:
    lines = await doctor(tmp_path, Case("refused", source={"username": "nobody"}))

    assert [(each.ok, each.code) for each in lines if each.kind == "source"] == [(False, "vsphere.login_refused")]


async def test_the_webhook_is_looked_at_by_a_worker_that_sends_notices_and_by_none_of_a_site(tmp_path: Path) -> None:
    nowhere = NotifyConfig(url="https://127.0.0.1:1/hook/SECRETPATH")
    for site, there in (("", True), ("dc2", False)):
        folder = tmp_path / (site or "none")
        folder.mkdir()
        lines = await doctor(folder, Case("notify"), notify=nowhere, site=site)
        found = [(each.kind, each.ok, each.code) for each in lines if each.topic == "notify"]
        assert found == ([("worker", False, "notify.unreachable")] if there else [])
        assert not any("SECRETPATH" in each.line for each in lines)
