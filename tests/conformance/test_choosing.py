"""VMs chosen by tag and folder, and pinned: what a plan is made from."""

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.assessment import AssessmentActivities
from activities.preflight import PreflightActivities
from contracts.assessment import AssessRequest, Grouped, PageOrder, is_in, unpacked
from contracts.steps import PreflightOrder
from tests.conformance.preflight.looking import Case, both_sides
from tests.conformance.xapi_target import errand


@pytest.mark.parametrize(
    ("tags", "folders", "chosen"),
    [
        ((), (), True), (("prod",), (), True), (("pr*", "x"), (), True), (("x",), (), False),
        ((), ("Prod",), True), ((), ("Prod/Web",), True), ((), ("/Prod/",), True), ((), ("P*",), True),
        ((), ("Web",), False), ((), ("Prod/Web/x",), False), (("prod",), ("Test",), False),
    ],
)  # fmt: skip
def test_a_vm_is_in_a_folder_and_in_all_above_it(tags, folders, chosen):
    assert is_in(Grouped(folder="Prod/Web", tags=("prod",)), tags, folders) is chosen


async def found_by(systems, **choice):
    activities = AssessmentActivities(systems)
    request = AssessRequest(source="vc", target="pool", pins=True, **choice)
    found = await ActivityEnvironment().run(activities.find_machines, request)
    order = PageOrder(source="vc", refs=found.machines["vc"], request=request, target=found.target)
    return unpacked(await ActivityEnvironment().run(activities.assess_machines, order))


async def test_pins_tell_folder_tags_and_the_transport_of_each_disk(tmp_path):
    case = Case("", vcenter={"vms": [
        {"name": "web01", "folder": "Prod", "tags": ["prod"], "disks": [{"size_mib": 1, "datastore": "nfs1"}]},
        {"name": "web02", "folder": "Test", "tags": ["prod", "old"], "disks": [{"size_mib": 2, "datastore": "vsan1"}]},
        {"name": "web03", "disks": [{"size_mib": 1, "datastore": "nfs1"}]},
    ]})  # fmt: skip
    with both_sides(tmp_path, case) as (_, _, systems):
        rows = {row.name: row.pinned for row in await found_by(systems, tags=("prod",))}
        assert [row.name for row in await found_by(systems, folders=("Pr*",))] == ["web01"]
        assert [row.name for row in await found_by(systems, tags=("old",), vms=("web*",))] == ["web02"]
        with pytest.raises(ApplicationError) as refusal:
            await found_by(systems, tags=("nothing",))

    assert refusal.value.type == "vm.unknown"
    assert sorted(rows) == ["web01", "web02"]
    assert (rows["web01"].folder, rows["web01"].tags) == ("Prod", ("prod",))
    assert (rows["web02"].folder, rows["web02"].tags) == ("Test", ("old", "prod"))
    assert [disk.transport for disk in rows["web01"].disks + rows["web02"].disks] == ["https", "nfc"]
    assert [disk.allocated for disk in rows["web01"].disks + rows["web02"].disks] == [1 << 20, None]
    assert (rows["web02"].bytes, rows["web02"].disks[0].datastore_type) == (2 << 20, "vsan")


@pytest.mark.parametrize("by", ["name_label", "uuid"])
async def test_a_template_that_is_asked_for_is_taken(tmp_path, by):
    with both_sides(tmp_path, Case("")) as (_, pool, systems):
        records = [each for each in pool.pool.db.all("VM").values() if each["is_a_template"]]
        wanted = next(each for each in records if each["name_label"].startswith("Windows"))
        said = {"template": wanted[by], "networks": {"*": "lan"}}
        order = PreflightOrder(errand=errand(source="vc", target="pool", vm="web01"), **said)
        found = await ActivityEnvironment().run(PreflightActivities(systems).preflight, order)

    assert found.template == wanted["name_label"]
    assert found.checks == ()


async def test_tags_that_cannot_be_read_choose_nobody_and_say_so(tmp_path):
    with both_sides(tmp_path, Case("", vcenter={"tags_refused": True})) as (_, _, systems):
        with pytest.raises(ApplicationError) as refusal:
            await found_by(systems, tags=("prod",))
        assert [row.name for row in await found_by(systems)] == ["web01"], "a plan needs none"

    assert refusal.value.type == "preflight.tags_unread"
