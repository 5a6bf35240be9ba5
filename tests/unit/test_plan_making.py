"""Which members a choice comes to, how long they take, and what makes a plan stale."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.assessment import Assessed
from contracts.errors import FerryError
from contracts.plan import Plan, fleet_request_of
from contracts.plan_seen import PinnedCheck, PinnedDisk, PinnedNic, PinnedSr, PinnedTarget, PinnedVm, PlanSeen
from starter.planning.applying import checked, digest_of, sites_of
from starter.planning.differing import differences, unpinned
from starter.planning.listing import listed
from starter.planning.looking import Looked
from starter.planning.proposing import Waves, propose
from starter.planning.reading import draft_of
from starter.planning.reckoning import waves_of, whole_of
from starter.planning.writing import member_lines, new_text, with_seen
from tests.unit.test_plan_files import GIB, seen, vm

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def row(name, *tags, uuid=""):
    machine = uuid or f"id-{name}"
    pinned = PinnedVm(name=name, machine_id=machine, tags=tags)
    return Assessed(source="vc", name=name, machine_id=machine, ref=f"vm-{machine}", pinned=pinned)


def plan(*members, found=None, **more):
    said = {"version": 1, "fleet": "f", "source": "vc", "target": "pool", **more}
    return Plan.model_validate({**said, "members": [{"vm": each} for each in members], "seen": found})


def proposed(*rows, waves=None, **more):
    made = propose(rows, waves or Waves(), **more)
    return made.waves, [(said["vm"], said["wave"]) for said, _ in made.members]


def test_names_are_in_the_order_in_which_people_count():
    assert proposed(row("web10"), row("web9"), row("db")) == ([], [("db", ""), ("web9", ""), ("web10", "")])


def test_waves_have_so_many_or_are_named_by_a_tag():
    rows = [row("a", "wave-2", "x"), row("b"), row("c", "wave-10"), row("d", "wave-2")]
    assert proposed(*rows, waves=Waves(size=3)) == (["1", "2"], [("a", "1"), ("b", "1"), ("c", "1"), ("d", "2")])
    waves, members = proposed(*rows, waves=Waves(tag="wave-*"))
    assert waves == ["rest", "wave-2", "wave-10"]
    assert dict(members) == {"a": "wave-2", "b": "rest", "c": "wave-10", "d": "wave-2"}


def test_twins_are_called_by_their_ids_and_what_the_plan_has_is_not_added_again():
    made = propose([row("a", uuid="1"), row("a", uuid="2"), row("b")], Waves())
    assert [(said["vm"], comment) for said, comment in made.members] == [("1", "a"), ("2", "a"), ("b", "")]
    renamed = vm("b").model_copy(update={"machine_id": "id-c"})
    before = plan("a", "b", found=PlanSeen(at=AT, machines={"b": renamed}))
    made = propose([row("a"), row("c"), row("d")], Waves(), plan=before)
    assert [said["vm"] for said, _ in made.members] == ["d"], "c is b, renamed since"
    assert made.known == 2


def test_a_list_says_order_waves_and_mappings():
    said = {"b": {"vm": "b", "wave": "late", "after": ("a",)}, "id-a": {"vm": "a", "wave": "early", "sr": "fast"}}
    made = propose([row("a"), row("b")], Waves(), said=said)
    assert made.waves == ["late", "early"]
    assert [each for each, _ in made.members] == [
        {"vm": "b", "wave": "late", "after": ["a"], "request": {}},
        {"vm": "a", "wave": "early", "after": [], "request": {"sr": "fast"}},
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web01\n# no\n\n db01 \n", [("web01", ()), ("db01", ())]),
        ("Name,Owner,After\nweb01,ann,db01; db02\n", [("web01", ("db01", "db02"))]),
        ('\ufeffVM;wave\r\n"a;b";1\r\n;2\r\n', [("a;b", ())]),
    ],
)
def test_lists_of_all_sorts(tmp_path, text, expected):
    (tmp_path / "l.csv").write_bytes(text.encode())
    assert [(each["vm"], each["after"]) for each in listed(tmp_path / "l.csv")] == expected


def test_a_list_of_nothing_is_refused(tmp_path):
    (tmp_path / "l.csv").write_text("vm,wave\n")
    with pytest.raises(FerryError, match="names no VM"):
        listed(tmp_path / "l.csv")


def test_the_time_of_a_wave_is_that_of_its_turns():
    found = seen(*(vm(each) for each in "abc"))
    made = plan("a", "b", "c", found=found, rate="1GiB", limits={"at_once": 2})
    [wave] = waves_of(made)
    assert (wave.seconds, wave.size, wave.machines) == (2.0, 3 * GIB, 3)
    assert whole_of(plan("a", "b", "c", found=found, rate="1GiB")).seconds == 1.0


WAS = PinnedVm(
    name="a", machine_id="1", power="on", firmware="uefi", host="esx1", foreign_snapshots=("s",),
    disks=(PinnedDisk(disk_id="d0", slot="scsi0:0", capacity=GIB, datastore="nfs1", transport="https"),),
    nics=(PinnedNic(mac="m1", network="DMZ"),), checks=(PinnedCheck(code="preflight.x", severity="warning"),),
)  # fmt: skip


def changed(**changes):
    now = WAS.model_copy(update=changes)
    before = PlanSeen(at=AT, machines={"a": WAS})
    after = Looked(PlanSeen(at=AT, machines={"a": now}))
    return [str(each) for each in differences(plan("a", found=before), after)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"machine_id": "2"}, "a: another VM of that name: 1 → 2"),
        ({"name": "b"}, "a: name: a → b"),
        ({"power": "off"}, "a: power: on → off"),
        ({"firmware": "bios"}, "a: firmware: uefi → bios"),
        ({"foreign_snapshots": ()}, "a: snapshots of other people: s → none"),
        ({"disks": ()}, f"a: disk scsi0:0: 1.0 GiB ({GIB} bytes, d0) → none"),
        (
            {"disks": (WAS.disks[0].model_copy(update={"capacity": 2 * GIB}),)},
            f"a: disk scsi0:0: 1.0 GiB ({GIB} bytes, d0) → 2.0 GiB ({2 * GIB} bytes, d0)",
        ),
        ({"nics": (PinnedNic(mac="m1", network="LAN"),)}, "a: NIC m1: on 'DMZ' → on 'LAN'"),
        (
            {"checks": (PinnedCheck(code="preflight.x", severity="blocker", message="no"),)},
            "a: preflight.x: warning → blocker: no",
        ),
        (
            {"checks": (PinnedCheck(code="preflight.y", severity="warning", message="oh"),)},
            "a: preflight.y: none → warning: oh",
        ),
    ],
)
def test_what_matters_of_a_vm_makes_a_plan_stale(changes, told):
    assert changed(**changes) == [told]


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"host": "esx2"}, {"checks": ()}, {"folder": "x"}, {"tags": ("x",)}, {"memory": 1},
        {"disks": (WAS.disks[0].model_copy(update={"datastore": "nfs2", "transport": "nfc"}),)},
    ],
)  # fmt: skip
def test_what_moves_by_itself_does_not(changes):
    assert changed(**changes) == []


def test_a_vm_that_is_gone_or_has_a_twin_and_another_pool_make_it_stale():
    before = seen(WAS)
    made = plan("a", found=before)
    now = Looked(seen(), gone=["a"])
    assert [str(each) for each in differences(made, now)] == ["a: the VM: 1 → none"]
    now = Looked(seen(), several={"a": ["1", "2"]})
    assert [str(each) for each in differences(made, now)] == ["a: VMs of that name: 1 → 1, 2"]
    target = PinnedTarget(pool="other", networks={"lan": "u2"}, srs={"": PinnedSr(uuid="z", name="n", type="nfs")})
    now = Looked(PlanSeen(at=AT, targets={"pool": target}, machines={"a": WAS}))
    assert [str(each) for each in differences(made, now)] == [
        "pool: pool: pool → other",
        "pool: default SR: local (ext, uuid-) → n (nfs, z)",
        "pool: network lan: u1 → u2",
    ]


def a_draft(*members, found):
    text = new_text(
        {"fleet": "f", "source": "vc", "target": "pool"}, [{"name": "1"}], [member_lines({"vm": m}) for m in members]
    )
    return draft_of(Path("p.yaml"), with_seen(text, (0, 0), found))


@pytest.mark.parametrize(
    ("members", "found", "code"),
    [
        (("a", "b"), seen(vm("a")), "plan.not_looked"),
        (("a", "a"), seen(vm("a")), "plan.invalid"),
        (("a",), seen(vm("a", checks=(PinnedCheck(code="preflight.rdm_disk", severity="blocker"),))), "plan.blocked"),
        (tuple(f"v{n}" for n in range(5001)), seen(), "plan.too_large"),
    ],
)
def test_what_cannot_be_applied_is_refused_before_anybody_is_asked(members, found, code):
    with pytest.raises(FerryError) as refusal:
        checked(a_draft(*members, found=found))
    assert refusal.value.code == code


def test_every_site_of_a_plan_is_known_before_it_begins():
    request = fleet_request_of(plan("a", "b", "c", defaults={"site": "dc2"}))
    there = request.members[1].model_copy(update={"request": {"site": "dc3"}})
    assert sites_of(request.model_copy(update={"members": (*request.members[:2], there)})) == ("dc2", "dc3", "")
    assert sites_of(fleet_request_of(plan("a"))) == ("",)


def test_a_request_that_is_too_long_for_a_fleet_is_refused():
    made = plan("a", defaults={"networks": {f"n{number}": "x" * 1000 for number in range(4200)}})
    with pytest.raises(FerryError) as refusal:
        fleet_request_of(made)
    assert refusal.value.code == "plan.too_large"


def test_a_plan_is_the_same_while_only_its_pins_and_comments_differ():
    one = a_draft("a", found=seen(vm("a")))
    other = draft_of(one.path, "# hello\n" + with_seen(one.text, one.region, seen(vm("a", host="esx2"))))
    assert digest_of(checked(one)) == digest_of(checked(other))
    budget = replace(one, plan=one.plan.model_copy(update={"failure_budget": 1}))
    assert digest_of(checked(budget)) != digest_of(checked(one))
    assert unpinned(one.plan) == []
