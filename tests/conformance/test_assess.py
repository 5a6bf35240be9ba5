"""An inventory read in bulk: of each VM it says what the preflight says, and a bad one keeps nobody from the others."""

from pathlib import Path

import pytest
from pyVmomi import vim
from temporalio.testing import ActivityEnvironment

from activities.assessment import AssessmentActivities
from activities.preflight import PreflightActivities
from contracts.assessment import AssessRequest, PageOrder, Totals, unpacked
from contracts.errors import FerryError
from contracts.steps import PreflightOrder
from platforms.vsphere import bulk
from tests.conformance.preflight import looking
from tests.conformance.preflight.looking import Case, both_sides
from tests.conformance.preflight.test_codes import CASES
from tests.conformance.xapi_target import errand
from workflows.assess import MACHINES_A_PAGE

UNASKED = {"preflight.tags_unread"}
"""Tags are a call for each VM, and stand in nobody's way."""


async def assess(systems, *vms, sr=None, target="pool", lost=()):
    """Every page, as the workflow asks for them; ``lost``: morefs that the list has and the inventory no longer."""
    activities = AssessmentActivities(systems)
    request = AssessRequest(source="vc", target=target, sr=sr, vms=vms)
    found = await ActivityEnvironment().run(activities.find_machines, request)
    refs = [*found.machines["vc"], *lost]
    rows, totals = [], Totals()
    for start in range(0, len(refs), MACHINES_A_PAGE):
        some = tuple(refs[start : start + MACHINES_A_PAGE])
        order = PageOrder(source="vc", refs=some, request=request, target=found.target)
        page = await ActivityEnvironment().run(activities.assess_machines, order)
        assert len(page.packed) < 64 << 10
        rows += unpacked(page)
        totals = totals.plus(page.totals)
    return rows, totals


ASKABLE = [case for case in CASES if set(case.order) <= {"sr"} and case.code != "preflight.template"]
"""What else a request of one migration says, an assessment does not; and it leaves templates out."""


BRIEF = ASKABLE[::5]
"""Each takes a lab of its own: a fifth of them in every run, all of them in the long one."""


@pytest.mark.parametrize(
    "case",
    [pytest.param(each, marks=() if each in BRIEF else pytest.mark.long) for each in ASKABLE],
    ids=lambda case: case.id,
)
async def test_the_assessment_says_what_the_preflight_says(tmp_path: Path, case: Case) -> None:
    with both_sides(tmp_path, case) as (vcenter, pool, systems):
        if case.before is not None:
            case.before(vcenter, pool)
        order = PreflightOrder(errand=errand(source="vc", target="pool", vm=case.called), **case.order)
        found = await ActivityEnvironment().run(PreflightActivities(systems).preflight, order)
        rows, _ = await assess(systems, case.called, sr=case.order.get("sr"))

    [row] = rows
    assert {check.code: check.severity for check in row.checks} == {
        check.code: check.severity for check in found.checks if check.code not in UNASKED
    }


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    """650 VMs, without a byte of disks."""
    vms = [{"name": f"vm{number:03}", "power": "off", "disks": []} for number in range(650)]
    real = looking.running_vcenter
    monkeypatch.setattr(looking, "running_vcenter", lambda folder, first, **more: real(folder, first, *vms, **more))
    with both_sides(tmp_path, Case("many")) as (vcenter, _, systems):
        yield vcenter, systems


async def test_hundreds_of_vms_take_a_few_calls(fleet):
    vcenter, systems = fleet

    rows, totals = await assess(systems)

    assert len(rows) == 651
    assert [totals.all.machines, totals.ready.machines, totals.blocked.machines] == [651, 1, 650]
    assert (totals.reasons[0].code, totals.reasons[0].machines) == ("preflight.no_disks", 650)
    calls = vcenter.counted()["calls"]
    assert sum(calls.values()) < 150, calls  # a page of 200 takes thirty, most of them about its hosts


async def test_one_vm_that_cannot_be_read_is_a_row_with_its_code(fleet, monkeypatch):
    vcenter, systems = fleet
    read = vcenter.collector.value

    def value(moid, path, views, made=None):
        if moid == "vm-105" and path == "config.extraConfig":
            raise vim.fault.NoPermission(object=vim.VirtualMachine(moid), privilegeId="System.Read")
        return read(moid, path, views, made)

    monkeypatch.setattr(vcenter.collector, "value", value)
    of = bulk.inventory.machine_of

    def machine_of(source, ref, properties, *more):
        if ref._moId == "vm-107":
            raise KeyError("what nobody foresaw")
        return of(source, ref, properties, *more)

    monkeypatch.setattr(bulk.inventory, "machine_of", machine_of)

    rows, totals = await assess(systems, lost=("vm-9999",))

    assert len(rows) == totals.all.machines == 652
    codes = {row.ref: row.checks[0].code for row in rows if row.checks}
    odd = {ref: code for ref, code in codes.items() if code != "preflight.no_disks"}
    assert odd == {"vm-105": "vsphere.no_permission", "vm-107": "assess.unreadable", "vm-9999": "vm.gone"}


async def test_a_source_or_target_that_is_not_there_ends_it_with_a_code(fleet):
    _, systems = fleet
    activities = AssessmentActivities(systems)
    for request in (AssessRequest(source="elsewhere"), AssessRequest(source="vc", target="elsewhere")):
        with pytest.raises(Exception, match="this worker knows") as caught:
            await ActivityEnvironment().run(activities.find_machines, request)
        assert not isinstance(caught.value, FerryError), "it crosses Temporal by its code"
        assert caught.value.type == "request.unknown_system"


async def test_without_a_target_nothing_is_said_of_one(fleet):
    _, systems = fleet
    rows, _ = await assess(systems, "web01", target=None)
    assert [row.verdict for row in rows] == ["ready"]
