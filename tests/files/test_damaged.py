"""Files that are not what they should be: a code, bounded memory and time, and nothing outside the folder is read."""

import struct
import subprocess
import time
import tracemalloc

import pytest

from contracts.config import FilesConfig
from contracts.errors import FerryError
from contracts.steps import Errand
from platforms.files.images import check_whole, image_of
from platforms.files.ova import Part
from platforms.files.ovf import machines_in
from platforms.files.source import FilesSource
from platforms.files.xml import parsed
from tests.files.making import MIB, appliance, ova, raw, vmdk, vmware

ERRAND = Errand(migration="m", workflow="w", source="files", target="pool", vm="web01")
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "' + b"b" * 1000 + b'">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + at, b"&%c;" % (97 + at) * 50) for at in range(8))
    + b"]><Envelope>&i;</Envelope>"
)  # fmt: skip
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Envelope>&a;</Envelope>'


def refused(act, *codes):
    """Within two seconds and few MiB."""
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(FerryError) as told:
        act()
    assert told.value.code in codes, told.value
    assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    tracemalloc.stop()
    assert time.monotonic() - began < 5


def source_of(folder):
    return FilesSource("files", FilesConfig(kind="files", folder=folder))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (BOMB, "file.unreadable"),
        (OUTSIDE, "file.unreadable"),
        (b"<Envelope>" + b"<a>" * 100 + b"</a>" * 100 + b"</Envelope>", "file.too_large"),
        (b"<Envelope>" + b"<a/>" * 300_000 + b"</Envelope>", "file.too_large"),
        (b"<Envelope>" + b" " * (17 << 20) + b"</Envelope>", "file.too_large"),
        (b"", "file.unreadable"),
        (b"\0\1\2", "file.unreadable"),
        (b'<?xml version="1.0" encoding="UTx-8"?><Envelope/>', "file.unreadable"),
        (b"<html></html>", "file.unreadable"),
        (b"<Envelope></Envelope>", "file.unreadable"),
        (b"<Envelope><VirtualSystem/></Envelope>", "file.unreadable"),
    ],
)
def test_xml_that_is_hostile_or_no_descriptor(data, code):
    refused(lambda: machines_in(data, "a.ovf"), code)


def test_ordinary_xml_is_read_with_its_namespaces():
    root = parsed(b'<a xmlns="urn:x" xmlns:y="urn:y" y:b="1"><y:c>d</y:c></a>', "x")
    assert (root.tag, root.attrib, root[0].tag, root[0].text) == ("{urn:x}a", {"{urn:y}b": "1"}, "{urn:y}c", "d")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("byte * 2^20</rasd:AllocationUnits>", "bogus</rasd:AllocationUnits>"),
        ("<rasd:VirtualQuantity>2048", "<rasd:VirtualQuantity>99999999999999999999"),
        ("<rasd:VirtualQuantity>2048", "<rasd:VirtualQuantity>-5"),
        ('ovf:capacity="8"', 'ovf:capacity="999999999999999"'),
        ('ovf:fileRef="file1"', 'ovf:fileRef="file9"'),
        ("ovf:/disk/vmdisk1", "ovf:/disk/vmdisk9"),
        ('ovf:diskId="vmdisk1"', 'ovf:diskId="vmdisk1" ovf:parentRef="vmdisk2"'),
    ],
)
def test_a_descriptor_that_contradicts_itself_or_claims_the_absurd(wrong, right):
    text = vmware([("a.vmdk", 5, 8 * MIB)])
    assert wrong in text
    refused(lambda: machines_in(text.replace(wrong, right, 1).encode(), "a.ovf"),
            "file.unreadable", "file.too_large", "file.chain")  # fmt: skip


@pytest.mark.parametrize("href", ["../secret.raw", "/etc/passwd", "x/../../secret.raw", "a\\..\\secret.raw"])
def test_a_descriptor_that_names_what_lies_elsewhere(tmp_path, href):
    folder = tmp_path / "x"
    folder.mkdir()
    raw(tmp_path / "secret.raw", 8 * MIB)
    (folder / "web.ovf").write_text(vmware([(href, 8 * MIB, 8 * MIB)]))
    refused(lambda: source_of(folder).machine("web01"), "file.path")


@pytest.mark.parametrize("name", ["../web.ovf", "/web.ovf"])
def test_an_archive_whose_members_lead_elsewhere(tmp_path, name):
    import io
    import tarfile

    folder = tmp_path / "x"
    folder.mkdir()
    with tarfile.open(folder / "web.ova", "w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    refused(lambda: source_of(folder).machine("web.ova"), "file.path")
    with tarfile.open(folder / "web.ova", "w") as archive:
        member = tarfile.TarInfo("web.ovf")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    refused(lambda: source_of(folder).machine("web.ova"), "file.unreadable")


@pytest.mark.parametrize("kept", [0, 100, 600, 5000, 0.5, 0.99])
def test_an_archive_that_was_cut_short(tmp_path, kept):
    path, _ = appliance(tmp_path / "x", "web01")
    whole = path.read_bytes()
    size = int(kept if kept >= 1 or kept == 0 else len(whole) * kept)
    path.write_bytes(whole[:size])
    source = source_of(tmp_path / "x")
    refused(lambda: source.machine("web01.ova"), "file.truncated", "file.unreadable")
    assert source.machines() == [], "one that cannot be read keeps nobody from the others"
    [unread] = source.whole_machines(["web01.ova"])
    assert unread.code in ("file.truncated", "file.unreadable")


def test_a_disk_whose_file_is_not_as_large_as_the_descriptor_says(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    disk = vmdk(raw(tmp_path / "a.raw", 8 * MIB), tmp_path / "a.vmdk")
    ova(folder / "web01.ova", vmware([("a.vmdk", disk.stat().st_size + 512, 8 * MIB)]), [disk])
    refused(lambda: source_of(folder).machine("web01"), "file.truncated")


def image(path):
    return image_of(Part.whole(path), path.name)


def converted(source, path, form, *options):
    words = ["qemu-img", "convert", "-f", "raw", "-O", form, *(["-o", ",".join(options)] if options else [])]
    subprocess.run([*words, str(source), str(path)], check=True, capture_output=True)
    return path


@pytest.mark.parametrize(
    ("form", "name", "options"),
    [
        ("vmdk", "a.vmdk", ["subformat=monolithicSparse"]), ("vmdk", "a.vmdk", ["subformat=streamOptimized"]),
        ("vmdk", "a.vmdk", ["subformat=monolithicFlat"]), ("vmdk", "a.vmdk", ["subformat=twoGbMaxExtentSparse"]),
        ("vmdk", "a.vmdk", ["subformat=twoGbMaxExtentFlat"]), ("qcow2", "a.qcow2", []), ("vdi", "a.vdi", []),
        ("vhdx", "a.vhdx", []), ("vhdx", "a.vhdx", ["subformat=fixed"]), ("vpc", "a.vhd", []),
        ("vpc", "a.vhd", ["subformat=fixed"]), ("raw", "a.img", []),
    ],
)  # fmt: skip
def test_every_format_is_known_by_its_bytes_and_cut_short_it_is_refused_or_reads_no_more(tmp_path, form, name, options):
    path = converted(raw(tmp_path / "a.raw", 16 * MIB), tmp_path / name, form, *options)
    found = image(path)
    assert (found.form, 16 * MIB <= found.capacity < 17 * MIB) == (form, True)
    check_whole(found, name)
    whole = {each: each.read_bytes() for each in found.files}
    for kept in (0.9, 0.5, 0.02):
        for each, content in whole.items():
            each.write_bytes(content[: int(len(content) * kept)])
        if form != "raw":
            refused(lambda: check_whole(image(path), name), "file.truncated", "file.unreadable", "file.chain")


def test_images_that_name_other_files(tmp_path):
    base = converted(raw(tmp_path / "a.raw", 8 * MIB), tmp_path / "base.qcow2", "qcow2")
    (tmp_path / "sub").mkdir()

    def over(backing, name="over.qcow2", folder=tmp_path):
        path = folder / name
        words = ["qemu-img", "create", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(backing), str(path), "8M"]
        subprocess.run(words, check=True, capture_output=True)
        return path

    chain = image(over("base.qcow2"))
    assert [each.name for each in chain.files] == ["over.qcow2", "base.qcow2"]
    assert chain.node["backing"]["file"]["filename"] == str(base)
    refused(lambda: image(over(base)), "file.path")
    refused(lambda: image(over("../base.qcow2", folder=tmp_path / "sub")), "file.path")
    refused(lambda: image(over("gone.qcow2")), "file.chain")
    refused(lambda: image(over("over.qcow2")), "file.chain")
    one = over("two.qcow2", "one.qcow2")
    over("one.qcow2", "two.qcow2")
    refused(lambda: image(one), "file.chain")
    refused(lambda: image(over("json:{}")), "file.chain", "file.path")
    outside = converted(tmp_path / "a.raw", tmp_path / "d.qcow2", "qcow2", f"data_file={tmp_path / 'elsewhere'}")
    refused(lambda: image(outside), "file.unreadable")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('RW 16384 FLAT "/etc/passwd" 0', "file.path"),
        ('RW 16384 FLAT "../a.raw" 0', "file.path"),
        ('RW 16384 FLAT "gone.vmdk" 0', "file.unreadable"),
        ('RW 99999999 FLAT "a-flat.vmdk" 0', "file.truncated"),
        ('RW 16384 VMFSRDM "a-flat.vmdk" 0', "file.unreadable"),
        ("", "file.unreadable"),
    ],
)
def test_a_vmdk_descriptor_that_names_what_it_must_not(tmp_path, line, code):
    raw(tmp_path / "a-flat.vmdk", 8 * MIB)
    path = tmp_path / "a.vmdk"
    head = '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
    path.write_text(f"{head}{line}\n")
    refused(lambda: image(path), code)
    path.write_text(f'{head.replace("parentCID=ffffffff", "parentCID=12345678")}parentFileNameHint="/etc/passwd"\n'
                    'RW 16384 FLAT "a-flat.vmdk" 0\n')  # fmt: skip
    refused(lambda: image(path), "file.path")


def test_headers_that_claim_the_absurd(tmp_path):
    path = converted(raw(tmp_path / "a.raw", 8 * MIB), tmp_path / "a.qcow2", "qcow2")
    whole = bytearray(path.read_bytes())
    struct.pack_into(">Q", whole, 24, 1 << 62)
    path.write_bytes(whole)
    refused(lambda: image(path), "file.unreadable", "file.too_large")
    path = vmdk(tmp_path / "a.raw", tmp_path / "a.vmdk", "monolithicSparse")
    whole = bytearray(path.read_bytes())
    struct.pack_into("<Q", whole, 12, 0)
    path.write_bytes(whole)
    refused(lambda: image(path), "file.unreadable")
    (tmp_path / "notes.txt").write_text("hello")
    refused(lambda: image(tmp_path / "notes.txt"), "file.unreadable")


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    disk = vmdk(raw(tmp_path / "a.raw", 8 * MIB), tmp_path / "secret.vmdk")
    (folder / "a.vmdk").symlink_to(disk)
    (folder / "web.ovf").write_text(vmware([("a.vmdk", disk.stat().st_size, 8 * MIB)]))
    refused(lambda: source_of(folder).machine("web01"), "file.unreadable")
