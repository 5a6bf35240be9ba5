"""An inventory from an export of RVTools: each of its forms and versions, and whatever else calls itself one."""

import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from contracts.error_catalogue import CATALOGUE
from contracts.errors import FerryError
from starter.assessment.rvtools import assess_export
from tests.fuzz.mutating import mutated
from tests.unit.rvtools_exports import HEADS, as_csvs, as_xlsx, as_zip, sheets_of, vm, with_parts

MIB = 1 << 20
FLEET = [
    vm(1, "web01"),
    vm(2, "db01", raw=True, snapshots=("before", "after")),
    vm(3, "cluster01", sharing="sharingMultiWriter"),
    vm(4, "cluster02", bus="physicalSharing"),
    vm(5, "scratch01", mode="independent_persistent"),
    vm(6, "old01", hw="vmx-04", tools="toolsNotInstalled"),
    vm(7, "safe01", secure=True, device="ISO [ds1] iso/debian.iso"),
    vm(8, "asleep01", power="suspended"),
    vm(9, "messy01", consolidation=True),
    vm(10, "lost01", state="inaccessible"),
    vm(13, "away01", state="disconnected"),
    vm(11, "golden", template=True),
    vm(12, "stand-in", placeholder=True),
]
SAID = {
    "web01": [], "db01": ["preflight.rdm_disk", "vsphere.foreign_snapshot"],
    "cluster01": ["preflight.multi_writer_disk"], "cluster02": ["preflight.multi_writer_disk"],
    "scratch01": ["preflight.independent_disk"],
    "old01": ["preflight.no_change_tracking", "preflight.tools_not_running"],
    "safe01": ["preflight.iso_mounted", "preflight.secure_boot"], "asleep01": ["preflight.suspended"],
    "messy01": ["vsphere.consolidation_needed"], "lost01": ["vm.inaccessible"], "away01": ["vm.not_connected"],
}  # fmt: skip


def said(found):
    return {row.name: sorted(check.code for check in row.checks) for row in found.machines}


FORMS = {
    "one workbook": lambda folder, sheets: as_xlsx(folder / "export.xlsx", sheets),
    "a folder of CSVs": lambda folder, sheets: as_csvs(folder / "csv", sheets),
    "with semicolons, as in half of Europe": lambda folder, sheets: as_csvs(folder / "csv", sheets, delimiter=";"),
    "in UTF-16": lambda folder, sheets: as_csvs(folder / "csv", sheets, encoding="utf-16"),
    "with a byte order mark": lambda folder, sheets: as_csvs(folder / "csv", sheets, encoding="utf-8-sig"),
    "a zip of CSVs": lambda folder, sheets: as_zip(folder / "csv.zip", as_csvs(folder / "csv", sheets)),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_tells_the_same(tmp_path, form):
    found = assess_export(FORMS[form](tmp_path, sheets_of(*FLEET)))

    assert said(found) == SAID
    assert found.totals.all.machines == 11
    assert found.totals.all.capacity == 9 * 40960 * MIB, "of what is inaccessible nothing is counted"
    assert found.machines[0].memory == 8192 * MIB
    assert found.machines[0].source == "vcenter.example"
    assert found.machines[1].checks[0].message == "disk scsi0:0 ([ds1] db01/db01.vmdk)"
    assert any("1 template is left out" in note for note in found.notes)
    assert any("1 SRM placeholder is left out" in note for note in found.notes)


def renamed(sheets, name):
    return {sheet: [[name(sheet, head) for head in rows[0]], *rows[1:]] for sheet, rows in sheets.items()}


SPELLINGS = {
    "3.x says MB": lambda sheet, head: head.replace("MiB", "MB"),
    "case and spaces are changed": lambda sheet, head: f" {head.upper().replace(' ', '_')} ",
    "the grid's own names": lambda sheet, head: {
        "VM": "vInfoVMName", "Powerstate": "vInfoPowerstate", "CPUs": "vInfoCPUs", "Memory": "vInfoMemory",
        "Template": "vInfoTemplate", "Disks": "vInfoNumVirtualDisks",
    }.get(head, head) if sheet == "vInfo" else head,
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_each_spelling_of_the_columns_is_known(tmp_path, spelling):
    sheets = renamed(sheets_of(*FLEET), SPELLINGS[spelling])

    found = assess_export(as_xlsx(tmp_path / "export.xlsx", sheets))

    assert said(found) == SAID
    assert found.totals.all.capacity == 9 * 40960 * MIB


def test_numbers_that_were_exported_as_text_are_numbers(tmp_path):
    found = assess_export(as_csvs(tmp_path, sheets_of(vm(1, "a", capacity="1,024"), vm(2, "b", capacity="1.048.576"))))

    assert [row.capacity for row in found.machines] == [1024 * MIB, 1048576 * MIB]


def test_disks_are_told_apart_by_vm_id_where_two_vms_share_a_name(tmp_path):
    found = assess_export(as_xlsx(tmp_path / "x.xlsx", sheets_of(vm(1, "twin", capacity=1), vm(2, "twin", capacity=2))))
    assert [row.capacity for row in found.machines] == [MIB, 2 * MIB]

    sheets = sheets_of(vm(1, "twin", capacity=1), vm(2, "twin", capacity=2))
    sheets["vDisk"][0][HEADS["vDisk"].index("VM ID")] = "Something else"
    found = assess_export(as_xlsx(tmp_path / "x.xlsx", sheets))
    assert any("share their name" in note for note in found.notes)


def test_what_the_file_does_not_tell_is_named_and_no_check_speaks_of_it(tmp_path):
    only = {"vInfo": sheets_of(*FLEET)["vInfo"]}
    for row in only["vInfo"]:
        del row[HEADS["vInfo"].index("Guest state")]

    found = assess_export(as_xlsx(tmp_path / "x.xlsx", only))

    assert said(found)["old01"] == ["preflight.no_change_tracking"]
    assert said(found)["db01"] == []
    assert found.machines[0].disks == 1, "vInfo counts them"
    lacks = {code: each.why for each in found.not_looked_at for code in each.codes}
    assert lacks["preflight.rdm_disk"] == "not in this file (sheets vCD, vDisk, vSnapshot, vTools)"
    assert "preflight.tools_not_running" in lacks
    assert "RVTools does not tell" in lacks["preflight.encrypted_disk"]
    assert "no target" in lacks["preflight.sr_too_small"]
    assert "preflight.suspended" not in lacks


def refused(path, *vms):
    with pytest.raises(FerryError) as caught:
        assess_export(path, vms)
    assert caught.value.code in CATALOGUE
    return caught.value


def test_a_missing_sheet_or_column_is_named(tmp_path):
    sheets = sheets_of(*FLEET)
    del sheets["vInfo"]
    error = refused(as_xlsx(tmp_path / "x.xlsx", sheets))
    assert (error.code, "vInfo" in error.message, "vDisk" in error.message) == ("rvtools.missing", True, True)

    error = refused(as_csvs(tmp_path / "csv", {"vInfo": [["VM", "Stato di alimentazione"], ["web01", "acceso"]]}))
    assert error.code == "rvtools.missing"
    assert "'Powerstate'" in error.message
    assert "Stato di alimentazione" in error.message


def test_a_name_that_fits_no_vm_is_told(tmp_path):
    path = as_xlsx(tmp_path / "x.xlsx", sheets_of(*FLEET))
    assert refused(path, "nobody*").code == "vm.unknown"
    assert [row.name for row in assess_export(path, ["cluster*"]).machines] == ["cluster01", "cluster02"]


GARBAGE = {
    "empty.xlsx": b"",
    "text.xlsx": b"hello\n",
    "old.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512),
    "cut.xlsx": b"PK\x03\x04" + bytes(100),
    "RVTools_tabvInfo.csv": b"\x00\x01\x02\xff" * 100,
    "vInfo.csv": b"",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_export_has_a_code(tmp_path, name):
    (tmp_path / name).write_bytes(GARBAGE[name])
    assert refused(tmp_path / name).code in ("rvtools.unreadable", "rvtools.missing")


def test_a_file_that_is_not_there_has_a_code(tmp_path):
    assert refused(tmp_path / "nothing.xlsx").code == "rvtools.unreadable"
    assert refused(tmp_path).code == "rvtools.missing"


SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>'


def cells(*texts, row=1):
    inside = b"".join(b'<c t="inlineStr"><is><t>%s</t></is></c>' % text for text in texts)
    return b'<row r="%d">%s</row>' % (row, inside)


def test_entities_are_never_declared_so_none_expands(tmp_path):
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha">' + b"".join(
        b'<!ENTITY %c "%s">' % (after, b"&%c;" % before * 10)
        for before, after in zip(b"abcdefghij", b"bcdefghijk", strict=True)
    )
    part = laughs + b"]>" + SHEET % cells(b"VM", b"&k;")
    error = refused(with_parts(tmp_path / "x.xlsx", sheets_of(*FLEET), sheet1=part))
    assert error.code == "rvtools.unreadable"
    assert "document type" in error.message


def test_two_cells_at_opposite_ends_of_a_sheet_take_no_room(tmp_path):
    part = SHEET % (cells(b"VM", b"Powerstate") + b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    tracemalloc.start()
    found = assess_export(with_parts(tmp_path / "x.xlsx", sheets_of(), sheet1=part))
    assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    tracemalloc.stop()
    assert found.machines == ()


def test_a_zip_bomb_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    monkeypatch.setattr("starter.assessment.rvtools.tables.Budget.__init__", smaller_budget)
    part = SHEET % (cells(b"VM", b"Powerstate") + b" " * (64 * MIB))
    path = with_parts(tmp_path / "x.xlsx", sheets_of(), sheet1=part)
    assert path.stat().st_size < MIB
    tracemalloc.start()
    assert refused(path).code == "rvtools.too_large"
    assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    tracemalloc.stop()


def smaller_budget(self):
    self.inflated, self.until = 8 * MIB, float("inf")


def test_rows_and_depth_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("starter.assessment.rvtools.xlsx.MOST_ROWS", 3)
    rows = b"".join(cells(b"web", b"poweredOn", row=each) for each in range(2, 9))
    path = with_parts(tmp_path / "x.xlsx", sheets_of(), sheet1=SHEET % (cells(b"VM", b"Powerstate") + rows))
    assert refused(path).code == "rvtools.too_large"
    path = with_parts(tmp_path / "x.xlsx", sheets_of(), sheet1=b"<a>" * 10000)
    assert refused(path).code == "rvtools.unreadable"


def test_a_part_that_lies_about_its_size_is_refused(tmp_path):
    path = as_xlsx(tmp_path / "x.xlsx", sheets_of(*FLEET))
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        sizes = {info.file_size for info in archive.infolist() if "sheet1" in info.filename}
    for size in sizes:
        at = data.rfind(size.to_bytes(4, "little"))
        data[at : at + 4] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    assert refused(path).code == "rvtools.unreadable"


@pytest.mark.parametrize("form", ["xlsx", "sheet", "csv"])
def test_almost_right_bytes_are_read_or_have_a_code(tmp_path, form):
    """Of the whole file, where checksums catch most; of one sheet's XML; of a CSV."""
    chance = random.Random(5)
    good = as_xlsx(tmp_path / "good.xlsx", sheets_of(*FLEET[:3]))
    with zipfile.ZipFile(good) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    table = (as_csvs(tmp_path / "csv", sheets_of(*FLEET[:3])) / "RVTools_tabvInfo.csv").read_bytes()
    outcomes = set()
    for _ in range(400):
        if form == "xlsx":
            path = tmp_path / "bad.xlsx"
            path.write_bytes(mutated(good.read_bytes(), chance))
        elif form == "sheet":
            path = with_parts(tmp_path / "bad.xlsx", sheets_of(), sheet1=mutated(sheet, chance))
        else:
            path = tmp_path / "RVTools_tabvInfo.csv"
            path.write_bytes(mutated(table, chance))
        try:
            assess_export(path)
            outcomes.add("read")
        except FerryError as error:
            outcomes.add("refused" if error.code.startswith("rvtools.") else error.code)
    assert outcomes == {"read", "refused"}, "both must happen, or the inputs are worthless"


def test_a_thousand_vms_are_read_whole(tmp_path):
    fleet = [vm(each, f"vm{each:04}", raw=each % 10 == 0) for each in range(1000)]

    found = assess_export(as_xlsx(Path(tmp_path) / "x.xlsx", sheets_of(*fleet)))

    assert (found.totals.all.machines, found.totals.blocked.machines) == (1000, 100)
    assert found.totals.all.capacity == 1000 * 40960 * MIB
