"""Totals, pages, and the forms that an assessment is written in."""

import base64
import csv
import hashlib
import html
import io
import json
import random
import re
import zlib
from html.parser import HTMLParser

import pytest

from checks import CHECKS
from contracts.assessment import (
    Assessed,
    Assessment,
    NotLooked,
    Page,
    Totals,
    Unread,
    notes_of,
    packed,
    totals_of,
    unpacked,
    unread,
    verdict_of,
)
from contracts.steps import Check, TargetFacts
from starter.assessment.as_csv import COLUMNS, as_csv
from starter.assessment.as_data import as_data
from starter.assessment.as_html import as_html
from starter.assessment.rvtools.lacks import TOLD_BY
from starter.assessment.writing import written
from starter.output import as_json

GIB = 1 << 30
EVIL = "<script>alert(1)</script>\"'&"
CODES = [(rule.code, rule.severity) for rule in CHECKS.values()]


def row(name="web01", *checks, size=GIB, power="on"):
    made = tuple(Check(code=code, severity=severity, message=f"{code} of {name}") for code, severity in checks)
    return Assessed(source="vc", name=name, power=power, disks=1, capacity=size, verdict=verdict_of(made), checks=made)


def fleet(count, seed=1):
    chance = random.Random(seed)
    return [row(f"vm{each:04}", *chance.sample(CODES, chance.randrange(5)), size=each * GIB) for each in range(count)]


def assessment(*rows, **more):
    return Assessment(origin="vSphere vc", totals=totals_of(rows), machines=rows, **more)


def test_a_blocker_blocks_a_warning_warns_and_a_note_leaves_a_vm_ready():
    rows = [
        row("a"), row("b", ("preflight.iso_mounted", "note")), row("c", ("preflight.secure_boot", "warning")),
        row("d", ("preflight.rdm_disk", "blocker"), ("preflight.secure_boot", "warning")),
    ]  # fmt: skip
    assert [each.verdict for each in rows] == ["ready", "ready", "warning", "blocked"]
    totals = totals_of(rows)
    assert [each.machines for each in (totals.all, totals.ready, totals.warning, totals.blocked)] == [4, 2, 1, 1]
    assert [(each.code, each.machines) for each in totals.reasons] == [
        ("preflight.rdm_disk", 1), ("preflight.secure_boot", 2), ("preflight.iso_mounted", 1),
    ]  # fmt: skip


def test_a_vm_counts_once_under_a_code_that_was_said_of_two_of_its_disks():
    totals = totals_of([row("a", ("preflight.rdm_disk", "blocker"), ("preflight.rdm_disk", "blocker"))])
    assert [(each.code, each.machines, each.capacity) for each in totals.reasons] == [("preflight.rdm_disk", 1, GIB)]


def test_totals_of_pages_are_those_of_the_whole():
    rows = fleet(97)
    pages = [packed(rows[start : start + 10]) for start in range(0, 97, 10)]
    totals = Totals()
    for page in pages:
        totals = totals.plus(page.totals)
    assert totals == totals_of(rows)
    assert [row for page in pages for row in unpacked(page)] == rows


def test_five_thousand_vms_fit_into_a_history_many_times_over():
    pages = [packed(fleet(200, seed)) for seed in range(25)]
    sizes = [len(page.model_dump_json()) for page in pages]
    assert max(sizes) < 64 << 10
    assert sum(sizes) < 1 << 20


def test_a_page_that_inflates_to_more_than_a_page_is_refused():
    bomb = Page(totals=Totals(), packed=base64.b64encode(zlib.compress(b" " * (80 << 20))).decode())
    with pytest.raises(ValueError, match="larger"):
        unpacked(bomb)


def test_the_whole_is_compared_with_the_room_of_the_sr():
    target = TargetFacts(pool="lab", sr_uuid="u", sr_name="nvme", sr_free=3 * GIB)
    [note] = notes_of(totals_of([row("a", size=2 * GIB), row("b", size=2 * GIB)]), target=target)
    assert "4.0 GiB" in note
    assert "3.0 GiB free" in note
    assert notes_of(totals_of([row("a", size=2 * GIB)]), target=target) == ()


def test_json_says_what_to_do_and_keeps_its_keys():
    told = json.loads(as_json(as_data(assessment(row("a", ("preflight.rdm_disk", "blocker"))))))
    assert list(told) == [
        "schema_version", "made_at", "origin", "target", "totals", "notes", "not_looked_at", "machines",
    ]  # fmt: skip
    assert told["schema_version"] == 1
    assert list(told["machines"][0]) == [
        "source", "name", "machine_id", "ref", "power", "guest", "cpus", "memory", "disks", "capacity", "verdict",
        "checks",
    ]  # fmt: skip
    [check] = told["machines"][0]["checks"]
    assert check["remedy"].startswith("Convert it")
    assert told["totals"]["reasons"][0]["remedy"] == check["remedy"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1"])
def test_no_cell_is_a_formula(name):
    [line] = csv.DictReader(io.StringIO(as_csv(assessment(row(name))), newline=""))
    assert line["vm"] == "'" + name.replace("\r", " ")
    assert not any(cell[:1] in "=+-@\t\r" for cell in line.values() if cell)


def test_a_row_a_vm_whatever_is_in_its_name():
    names = ["a,b", 'a"b', "a\nb", "ä", "", "a;b", "a b"]
    lines = list(csv.DictReader(io.StringIO(as_csv(assessment(*map(row, names))), newline="")))
    assert [line["vm"] for line in lines] == names
    assert tuple(lines[0]) == COLUMNS


class Elements(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.links, self.handlers = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src", "action", "data", "srcset")]
        self.handlers += [name for name, _ in attributes if name.startswith("on") or name == "style"]


def evil_page():
    check = Check(code="preflight.rdm_disk", severity="blocker", message=EVIL)
    evil = Assessed(
        source=EVIL, name=EVIL, machine_id=EVIL, ref=EVIL, power=EVIL, guest=EVIL, verdict="blocked", checks=(check,)
    )
    lacks = (NotLooked(codes=(EVIL,), why=EVIL),)
    return as_html(
        Assessment(
            origin=EVIL, target=EVIL, totals=totals_of([evil]), notes=(EVIL,), not_looked_at=lacks, machines=(evil,)
        )
    )


def test_the_page_holds_every_value_as_text_and_one_script():
    page = evil_page()
    plain = Elements(as_html(assessment(row("a", ("preflight.rdm_disk", "blocker")), notes=("n",))))
    found = Elements(page)

    assert found.tags.count("script") == 1
    assert set(found.tags) == {*plain.tags, "li", "ul"}
    assert html.escape(EVIL) in page
    assert "<script>alert" not in page


def test_the_page_loads_nothing_and_runs_only_the_script_that_its_policy_names():
    page = evil_page()
    found = Elements(page)

    assert set(found.links) <= {"#machines"}
    assert found.handlers == []
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    for tag in ("style", "script"):
        [inside] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_a_thousand_vms_are_a_page_that_a_browser_takes():
    rows = fleet(1000)
    page = as_html(assessment(*rows))
    assert page.count("<tr data-verdict=") == 1000
    assert len(page) < 2 << 20


def test_the_table_ends_with_the_totals():
    told = written(assessment(row("a"), row("b", ("preflight.rdm_disk", "blocker"))), "table")
    assert told.splitlines()[-1] == "2 VMs, 2.0 GiB: 1 ready (1.0 GiB), 0 with warnings, 1 blocked (1.0 GiB)"
    assert "Convert it to a virtual disk" in told


def test_an_empty_inventory_is_no_error():
    for form in ("table", "json", "yaml", "csv", "html"):
        assert written(assessment(), form)


def test_a_vm_that_was_not_read_is_blocked_by_its_code():
    lost = unread("vc", Unread(ref="vm-1", name="lost01", code="vm.inaccessible", message="it is orphaned"))
    assert (lost.verdict, lost.checks[0].code) == ("blocked", "vm.inaccessible")


@pytest.mark.parametrize("code", TOLD_BY)
def test_what_rvtools_is_said_to_tell_of_is_a_check(code):
    assert code in CHECKS
