"""Plans as files: what people wrote comes back to the last blank, and whatever is wrong has its line."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from contracts.errors import FerryError
from contracts.plan import fleet_request_of
from contracts.plan_seen import PinnedCheck, PinnedDisk, PinnedNic, PinnedSr, PinnedTarget, PinnedVm, PlanSeen
from starter.planning.checking import blocked, problems_of
from starter.planning.located import Malformed, located
from starter.planning.reading import draft_of, told
from starter.planning.schema import schema_text
from starter.planning.writing import flow, member_lines, new_text, with_more, with_seen, word

ROOT = Path(__file__).resolve().parents[2]
FILE = Path("spring.yaml")
GIB = 1 << 30
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
TEXT = """\
# the spring move; ask Ann
version: 1
fleet: spring
source: vc          # the old one
target: pool
defaults:
  delta_interval: 1h

waves:
- name: pilot
  approval: auto

- name: rest
members:
    # the database
    - {vm: db01, wave: pilot}   # CHG-17

    - vm: "app 01"
      wave: rest
      after:
      - db01   # it needs it
      request:
        sr: fast
        overrides:
          preflight.usb: |
            # the dongle is not
            used any more

# the end
"""
names = st.text(
    st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20
).filter(str.strip)  # fmt: skip


def draft(text):
    return draft_of(FILE, text)


def refused(text):
    """What is said of it, without the code."""
    with pytest.raises(FerryError) as refusal:
        made = draft(text)
        if problems := problems_of(made):
            raise told(FILE, problems)
    assert refusal.value.code == "plan.invalid"
    return refusal.value.message


def vm(name="db01", **more):
    disks = more.pop("disks", (PinnedDisk(disk_id=f"{name}-0", slot="scsi0:0", capacity=GIB, datastore="nfs1"),))
    return PinnedVm(name=name, machine_id=f"id-{name}", disks=disks, bytes=GIB, power="on", **more)


def seen(*machines, free=100 * GIB, sr_type="ext", srs=("", "fast"), **target):
    made = {
        name: PinnedSr(uuid=f"uuid-{name}", name=name or "local", type=sr_type, thick=sr_type == "lvm", free=free)
        for name in srs
    }
    pool = PinnedTarget(pool="pool", networks={"lan": "u1"}, srs=made, **target)
    return PlanSeen(at=AT, targets={"pool": pool}, machines={each.name: each for each in machines})


def pinned(text, found):
    made = draft(text)
    return with_seen(made.text, made.region, found)


def test_what_people_wrote_stays_when_pins_and_vms_come():
    text = pinned(TEXT, seen(vm(), vm("app 01")))
    assert text.startswith(TEXT)
    assert draft(text).plan.seen == seen(vm(), vm("app 01"))
    again = pinned(text, seen(vm()))
    assert again.startswith(TEXT)
    assert "app 01" not in again[len(TEXT) :]

    more = with_more(draft(text), [{"name": "late"}], [member_lines({"vm": "new", "wave": "late"}, "by tag")])

    kept = [
        line
        for line in more.text.split("\n")
        if line not in ("- name: late", "    - vm: new  # by tag", "      wave: late")
    ]
    assert kept == text.split("\n")
    assert [member.vm for member in more.plan.members] == ["db01", "app 01", "new"]
    assert [wave.name for wave in more.plan.waves] == ["pilot", "rest", "late"]
    assert more.plan.members[1].request["overrides"]["preflight.usb"] == "# the dongle is not\nused any more\n"


def test_the_ends_of_lines_of_windows_stay():
    text = pinned(TEXT.replace("\n", "\r\n"), seen(vm()))
    more = with_more(draft(text), [], [member_lines({"vm": "new"})])
    assert more.text.startswith(TEXT.replace("\n", "\r\n")[:300])
    assert more.text.count("\n") == more.text.count("\r\n")
    assert more.plan.members[2].vm == "new"


def test_a_plan_without_members_or_waves_gets_some_and_a_flow_list_of_some_is_refused():
    head = "version: 1\nfleet: f\nsource: vc\ntarget: pool\n"
    more = with_more(draft(head + "members: []\n"), [{"name": "b"}], [member_lines({"vm": "x", "wave": "b"})])
    assert [wave.name for wave in more.plan.waves] == ["1", "b"]
    assert [(member.vm, member.wave) for member in more.plan.members] == [("x", "b")]
    with pytest.raises(FerryError, match=r"spring.yaml:5: members: write it a line an item"):
        with_more(draft(head + "members: [{vm: a}]\n"), [], [member_lines({"vm": "x"})])


@settings(deadline=None)
@given(names)
def test_any_word_comes_back(text):
    assert located(f"a: {word(text)}\n")[0] == {"a": text}
    assert YAML(typ="safe", pure=True).load(f"a: {word(text)}\n") == {"a": text}


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(plain)
def test_any_data_comes_back_from_one_line(value):
    assert located(f"a: {flow(value)}\n")[0] == {"a": value}


disks = st.builds(PinnedDisk, disk_id=names, slot=names, capacity=st.integers(0, 1 << 60))
checks = st.builds(PinnedCheck, code=names, severity=st.just("warning"), message=names)
machines = st.builds(
    PinnedVm, name=names, machine_id=names, host=names, tags=st.lists(names, max_size=2).map(tuple),
    disks=st.lists(disks, max_size=2).map(tuple), checks=st.lists(checks, max_size=2).map(tuple),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(names, machines, max_size=3), st.lists(names, min_size=1, max_size=4, unique=True))
def test_any_plan_comes_back_and_is_yaml_to_others_too(found, vms):
    members = [member_lines({"vm": each, "after": vms[:number]}, each) for number, each in enumerate(vms)]
    text = new_text({"fleet": "f", "source": "vc", "target": "pool"}, [{"name": "1"}], members)
    whole = PlanSeen(at=AT, machines=found, targets={"pool": PinnedTarget(pool="p", srs={"": PinnedSr(uuid="u")})})
    text = with_seen(text, (0, 0), whole)

    made = draft(text)
    assert made.plan.seen == whole
    assert [member.vm for member in made.plan.members] == vms
    assert [made.line_of(number, "vm") for number in range(len(vms))] == [
        number + 1 for number, line in enumerate(text.split("\n")) if line.startswith("  - vm:")
    ]
    assert PlanSeen.model_validate(YAML(typ="safe", pure=True).load(text)["seen"]) == whole
    assert with_seen(text, made.region, whole) == text


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 25), st.sampled_from(["", "# a comment"]))
def test_the_line_is_right_whatever_is_above(above, filler):
    text = TEXT.replace("version: 1", f"version: 1\n{(filler + chr(10)) * above}", 1)
    line = text.split("\n").index("        sr: fast") + 1
    assert (
        refused(text.replace("sr: fast", "srr: fast"))
        == f"spring.yaml:{line}: app 01: request.srr: there is no such key"
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("fleet: spring", "fleet: spring\nflet: x", "4: flet: there is no such key"),
        ("fleet: spring", "fleet: spring\nfleet: x", "4: 'fleet' is there twice, first in line 3"),
        ("version: 1", "version: 2", "2: version: Input should be 1"),
        ("  delta_interval: 1h", "  delta_intervall: 1h", "7: defaults.delta_intervall: there is no such key"),
        ("  delta_interval: 1h", "  quorum: 2", "7: defaults.quorum: the plan says that"),
        ("wave: rest\n", "wave: rset\n", "19: app 01: there is no wave 'rset'"),
        ("- db01   #", "- db02   #", "20: app 01 comes after db02, which is not in the plan"),
        ('vm: "app 01"', "vm: db01", "18: db01 is in it twice, first in line 16"),
        ("- name: rest", "- name: pilot", "13: a second wave is called 'pilot'"),
        ("wave: pilot}", "wave: rest, after: [app 01]}",
         "16: each waits for the next, in a circle: db01 → app 01 → db01 (lines 16, 20)"),
        ("wave: pilot}", "wave: rest}", ""),
        ("wave: rest\n", "wave: pilot\n", ""),
        ("{vm: db01, wave: pilot}", "{vm: db01, wave: rest}\n    - {vm: x, wave: pilot, after: [db01]}",
         "17: x comes after db01, which is in the later wave 'rest': for ever"),
        ('"app 01"', "17", "18: members.vm: it is a text: write it in quotes"),
        ("sr: fast", "sr: [", ""),
        ("sr: fast", "sr: &a fast", "23: anchors and aliases"),
        ("sr: fast", "sr: *a", "23: anchors and aliases"),
        ("sr: fast", "sr: !!python/object:os.system fast", "23: tags are not read"),
        ("sr: fast", "sr: " + "[" * 40 + "]" * 40, "23: it is nested too deep"),
        ("# the end", "---\nversion: 1", "a plan is one document"),
        ("# the end", "seen: {}\nseen: {}", "'seen' is there twice"),
        ("sr: fast", "sr: fa\x00st", "23: "),
        ("sr: fast", "sr: fa\u2028st", "the sign U+2028"),
        ("# the end", "seen: {at: 1, machines: [}", "29: "),
        ("# the end", "seen: {machines: {}}", "29: seen.at: Field required"),
        ("# the end", "seen:x: {}", "29: seen:x: there is no such key"),
        ("# the end", "seen: no", "29: "),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_line(old, new, told):
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    if new == "wave: rest}" or new == "wave: pilot\n":
        assert problems_of(draft(text)) == []
        return
    assert told in refused(text)


FRAGMENTS = st.sampled_from(
    ["seen:", "{", "}", "[", "]", "- ", ": ", "\n", "\n  ", "#", "|", "&a ", "*a", "!!int ", '"', "'", "\\Uffffffff",
     "<<", "---\n", "%YAML 1.1\n", "\t", "\x00", "0x1f", "1e999", "9" * 40, "null", "? ", ",", "members", "version: 1"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 30), FRAGMENTS | names), min_size=1, max_size=4))
def test_whatever_is_in_a_file_it_is_a_plan_or_has_a_line(cuts):
    text = pinned(TEXT, seen(vm(), vm("app 01")))
    for at, length, put in cuts:
        text = text[:at] + put + text[at + length :]
    try:
        problems_of(draft(text))
    except FerryError as error:
        told = (error.code, "spring.yaml:" in error.message)
    else:
        return
    assert told == ("plan.invalid", True)


def test_all_that_is_wrong_is_told_at_once():
    text = TEXT.replace("wave: rest\n", "wave: rset\n").replace("delta_interval: 1h", "max_passes: 0")
    message = refused(text)
    assert "spring.yaml:7: defaults.max_passes" in message
    assert "spring.yaml:19: app 01: there is no wave 'rset'" in message


def test_a_bomb_of_aliases_a_long_file_and_deep_brackets_are_refused_at_once():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
    )
    began = time.monotonic()
    for text in (bomb, "a: " + "[" * 100_000, "seen: " + "[" * 100_000, "a: " + "x" * (1 << 20) + "\n" + "? [" * 1000):
        with pytest.raises(FerryError):
            draft(text)
    with pytest.raises(Malformed):
        located(bomb)
    assert time.monotonic() - began < 5


def test_a_network_without_a_counterpart_names_the_line_of_the_vm_and_the_mapping_mends_it():
    found = seen(vm(), vm("app 01", nics=(PinnedNic(mac="m", network="DMZ"),)))
    text = pinned(TEXT, found)
    assert refused(text) == "spring.yaml:18: app 01: network 'DMZ' is not mapped: say where it goes in `networks`"
    assert problems_of(draft(text.replace("sr: fast", "networks: {DMZ: lan}"))) == []
    assert "goes to 'wan', which pool pool has not" in refused(
        text.replace("  delta_interval: 1h", "  networks: {DMZ: wan}")
    )
    found = seen(vm(), vm("app 01", nics=(PinnedNic(mac="m", network="DMZ"),)), configured={"*": "lan"})
    assert problems_of(draft(pinned(TEXT, found))) == []


@pytest.mark.parametrize(
    ("sr_type", "free", "overcommit", "over"),
    [
        ("ext", 2 * GIB, 1, False), ("ext", 2 * GIB - 1, 1, True), ("ext", GIB, 2, False), ("ext", GIB - 1, 2, True),
        ("lvm", 4 * GIB, 1, False), ("lvm", 4 * GIB - 1, 1, True), ("lvm", 2 * GIB, 2, True),
    ],
)  # fmt: skip
def test_an_sr_is_promised_no_more_than_it_has(sr_type, free, overcommit, over):
    text = TEXT.replace("sr: fast", "max_passes: 3").replace(
        "fleet: spring", f"fleet: spring\nlimits: {{overcommit: {overcommit}}}"
    )
    text = pinned(text, seen(vm(), vm("app 01"), sr_type=sr_type, free=free))
    if over:
        assert "spring.yaml:19: app 01: from here on SR local is overcommitted" in refused(text)
    else:
        assert problems_of(draft(text)) == []


def test_an_sr_that_was_not_looked_at_or_is_not_there_has_its_line():
    assert "23: app 01: SR 'fast' was not looked at" in refused(pinned(TEXT, seen(vm(), vm("app 01"), srs=("",))))
    found = seen(vm(), vm("app 01"), srs=("",))
    found.targets["pool"].srs["fast"] = PinnedSr()
    assert "23: app 01: pool pool has no SR 'fast'" in refused(pinned(TEXT, found))


def test_one_vm_under_two_names_is_told():
    twin = vm("app 01").model_copy(update={"machine_id": "id-db01"})
    assert "18: app 01 is the same VM as db01" in refused(pinned(TEXT, seen(vm(), twin)))


def test_a_vm_is_blocked_unless_its_request_overrides_what_may_be_overridden():
    usb = PinnedCheck(code="preflight.usb", severity="blocker", overridable=True)
    rdm = PinnedCheck(code="preflight.rdm_disk", severity="blocker")
    warned = PinnedCheck(code="preflight.tools_not_running", severity="warning")
    found = seen(vm(checks=(usb, warned)), vm("app 01", checks=(usb, rdm)))
    assert blocked(draft(pinned(TEXT, found)).plan) == {"db01": ("preflight.usb",), "app 01": ("preflight.rdm_disk",)}


def test_a_plan_is_a_request_of_a_fleet():
    plan = draft(pinned(TEXT, seen(vm(), vm("app 01")))).plan
    request = fleet_request_of(plan)
    assert request.fleet == "spring"
    assert request.defaults["source"] == "vc"
    assert [member.after for member in request.members] == [(), ("db01",)]
    assert request.request_of(request.members[1]).sr == "fast"
    assert "seen" not in request.model_dump_json()


def test_10_000_members_are_written_read_and_checked_in_seconds_and_only_a_fleet_is_too_small_for_them():
    many = [f"vm{number:05}" for number in range(10_000)]
    members = [member_lines({"vm": each, "wave": "1", "after": many[max(0, n - 1) : n]}) for n, each in enumerate(many)]
    found = seen(
        *(vm(each, nics=(PinnedNic(mac="m", network="lan"),)) for each in many), configured={"*": "lan"}, free=1 << 60
    )
    began = time.monotonic()
    text = with_seen(
        new_text({"fleet": "f", "source": "vc", "target": "pool"}, [{"name": "1"}], members), (0, 0), found
    )
    made = draft(text)
    assert problems_of(made) == []
    assert time.monotonic() - began < 30
    with pytest.raises(FerryError) as refusal:
        fleet_request_of(made.plan)
    assert refusal.value.code == "plan.too_large"


def test_the_published_schema_is_that_of_the_model():
    assert (ROOT / "docs" / "plan.schema.json").read_text() == schema_text(), (
        "ferry plan --schema > docs/plan.schema.json"
    )
    fields = json.loads(schema_text())["$defs"]["RequestFields"]["properties"]
    assert {"sr", "networks", "windows"} <= set(fields)
    assert not {"vm", "approval", "quorum", "fleet"} & set(fields)
