"""Folders, archives and descriptors that would hang, fill or fell a worker, or hide one machine behind another."""

import os
import tarfile

import pytest

from contracts.errors import FerryError
from platforms.files.images import image_of
from platforms.files.ova import Part
from platforms.files.ovf import machines_in
from platforms.files.vmx import machine_in
from tests.files.making import MIB, ova, raw, vmdk, vmware
from tests.files.test_appliances import ERRAND, at, content
from tests.files.test_damaged import converted, refused


def lack(folder, ref):
    """In bounded memory and time."""
    refused(lambda: at(folder).machine(ref), "file.too_large", "file.unreadable", "file.path", "file.digest")
    [unread] = at(folder).whole_machines([ref])
    return unread.code


@pytest.mark.parametrize("name", ["a.vmdk", "a.ova", "a.ovf", "a.vmx", "a.img"])
def test_a_pipe_in_the_folder_is_no_machine_and_nobody_waits_for_it(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert at(tmp_path).machines() == []


def archive(path, *members):
    with path.open("wb") as file:
        for name, kind, body, size in members:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, size or len(body)
            file.write(member.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % 512))
        file.write(bytes(1024))


def test_an_archive_whose_headers_would_fill_memory_or_time(tmp_path):
    archive(tmp_path / "a.ova", ("././@LongLink", tarfile.GNUTYPE_LONGNAME, b"", 600 * MIB))
    os.truncate(tmp_path / "a.ova", 700 * MIB)
    assert lack(tmp_path, "a.ova") == "file.too_large"
    archive(tmp_path / "a.ova", ("x", tarfile.XHDTYPE, b"1" * 200_000, 0))
    assert lack(tmp_path, "a.ova") == "file.too_large"
    archive(tmp_path / "a.ova", *[("x", tarfile.XGLTYPE, b"12 a=bcdefg\n", 0)] * 2000)
    assert lack(tmp_path, "a.ova") == "file.unreadable"


@pytest.mark.parametrize("text", ["<rasd:VirtualQuantity>\u00b2<", "<rasd:VirtualQuantity>\u0663<"])
def test_digits_of_other_scripts_are_no_number(text):
    told = vmware([("a.vmdk", 5, 8 * MIB)]).replace("<rasd:VirtualQuantity>2048<", text)
    refused(lambda: machines_in(told.encode(), "a.ovf"), "file.unreadable")
    refused(lambda: machine_in('displayName = "x"\nmemsize = "\u00b2"'.encode(), "x.vmx"), "file.unreadable")
    told = vmware([("a.vmdk", 5, MIB)]).replace('size="5"', 'size="\u00b2"')
    assert machines_in(told.encode(), "a.ovf")[0].disks[0].size is None


def test_an_encoding_that_nobody_knows(tmp_path):
    (tmp_path / "a.ovf").write_bytes(b'<?xml version="1.0" encoding="bogus"?><Envelope/>')
    assert lack(tmp_path, "a.ovf") == "file.unreadable"


def test_names_that_are_odd(tmp_path):
    disk = converted(raw(tmp_path / "r.raw", 4 * MIB), tmp_path / "r.qcow2", "qcow2")
    folder = tmp_path / "x"
    folder.mkdir()
    names = ["a{socket}b.qcow2", "c%20d.qcow2", "e\nf.qcow2", "g'h\".qcow2", "i,j=k:l.qcow2"]
    for name in [*names, os.fsdecode(b"\xff.qcow2")]:
        (folder / name).write_bytes(disk.read_bytes())
    source = at(folder)
    assert sorted(line.ref for line in source.machines()) == sorted(names)
    assert lack(folder, "\ufffd.qcow2") == "file.path"
    for name in names:
        machine = source.machine(name)
        freeze = source.freeze(machine.machine_id, ERRAND, 1, final=True)
        opened = source.open_disk(machine.machine_id, freeze, machine.disks[0].disk_id)
        assert content(opened, 4 * MIB) == (tmp_path / "r.raw").read_bytes()
        opened.close()


def test_a_folder_that_cannot_be_looked_into_is_said_and_not_taken_for_an_empty_one(tmp_path, monkeypatch):
    def forbidden(_):
        raise PermissionError(13, "Permission denied", "/exports")

    refused(lambda: at(tmp_path / "gone").check(), "file.unreadable")
    monkeypatch.setattr("os.scandir", forbidden)
    refused(lambda: at(tmp_path).check(), "file.unreadable")


def test_a_file_that_cannot_be_read_keeps_nobody_from_the_others(tmp_path, monkeypatch):
    for name in ("bad", "good"):
        converted(raw(tmp_path / "r.raw", 4 * MIB, boots="bios"), tmp_path / f"{name}.qcow2", "qcow2")
    (tmp_path / "r.raw").unlink()

    def forbidden(part, most, read=Part.read):
        if part.path.name == "bad.qcow2":
            raise PermissionError(13, "Permission denied", str(part.path))
        return read(part, most)

    monkeypatch.setattr(Part, "read", forbidden)
    source = at(tmp_path)
    assert [line.name for line in source.machines()] == ["bad", "good"]
    bad, good = source.whole_machines(["bad.qcow2", "good.qcow2"])
    assert (bad.code, good.name) == ("file.unreadable", "good")
    refused(lambda: source.freeze(source._appliances()[0][0].machine_id, ERRAND, 1, final=True), "file.unreadable")


def test_one_broken_appliance_hides_no_sizes_of_the_others(tmp_path):
    converted(raw(tmp_path / "r.raw", 4 * MIB), tmp_path / "good.qcow2", "qcow2")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.ovf").write_text(vmware([("gone.vmdk", 5, 8 * MIB)]))
    assert list(at(tmp_path).allocated(["good.qcow2", "sub/a.ovf"])) == ["good.qcow2"]


def bundled(tmp_path, href, name="vm (1).vmdk"):
    (tmp_path / "x").mkdir()
    disk = vmdk(raw(tmp_path / "a.raw", 8 * MIB, boots="uefi"), tmp_path / name)
    return ova(tmp_path / "x" / "web01.ova", vmware([(href, disk.stat().st_size, 8 * MIB)]), [disk])


@pytest.mark.parametrize("href", ["vm (1).vmdk", "./vm (1).vmdk", "vm%20(1).vmdk"])
def test_digests_are_held_against_disks_however_the_descriptor_writes_their_names(tmp_path, href):
    path = bundled(tmp_path, href)
    source = at(tmp_path / "x")
    machine = source.machine("web01")
    assert source.freeze(machine.machine_id, ERRAND, 1, final=True).disks
    damaged = bytearray(path.read_bytes())
    damaged[-len(damaged) // 4] ^= 1
    path.write_bytes(damaged)
    refused(lambda: source.freeze(machine.machine_id, ERRAND, 1, final=True), "file.digest")


def test_digests_are_held_against_the_descriptor_too(tmp_path):
    path = bundled(tmp_path, "vm (1).vmdk")
    path.write_bytes(path.read_bytes().replace(b"<Name>web01", b"<Name>web02"))
    assert lack(tmp_path / "x", "web01.ova") == "file.digest"


def test_a_file_that_is_not_compressed_may_say_so():
    told = vmware([("a.vmdk", 5, 8 * MIB)]).replace("<File ", '<File ovf:compression="identity" ')
    assert machines_in(told.encode(), "a")[0].disks[0].compressed == ""


def test_of_an_appliance_in_several_sizes_the_default_one_is_meant():
    item = ('<Item ovf:configuration="{}"><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>'
            "<rasd:VirtualQuantity>{}</rasd:VirtualQuantity></Item>")  # fmt: skip
    bound = item.replace("configuration", "bound").format("max", 64)
    sizes = ('<DeploymentOptionSection><Info>s</Info><Configuration ovf:id="small"/>'
             '<Configuration ovf:id="large" ovf:default="true"/></DeploymentOptionSection>')  # fmt: skip
    told = vmware([("a.vmdk", 5, 8 * MIB)])
    begin, end = told.index("   <Item><rasd:InstanceID>1<"), told.index("   <Item><rasd:AllocationUnits>")
    told = told[:begin] + bound + item.format("small", 2) + item.format("large tiny", 8) + told[end:]
    assert machines_in(told.replace(" <NetworkSection>", sizes + " <NetworkSection>").encode(), "a")[0].cpus == 8


def test_a_delta_of_a_disk_that_was_written_to_since_is_refused(tmp_path):
    import subprocess

    base = vmdk(raw(tmp_path / "r.raw", 4 * MIB), tmp_path / "base.vmdk", "monolithicSparse")
    words = ["qemu-img", "create", "-f", "vmdk", "-F", "vmdk", "-b", "base.vmdk", "top.vmdk"]
    subprocess.run(words, check=True, capture_output=True, cwd=tmp_path)
    top = Part.whole(tmp_path / "top.vmdk")
    assert [each.name for each in image_of(top, "top.vmdk").files] == ["top.vmdk", "base.vmdk"]
    subprocess.run(["qemu-io", "-c", "write -P 9 0 64k", str(base)], check=True, capture_output=True)
    refused(lambda: image_of(top, "top.vmdk"), "file.chain")


def test_an_encrypted_image_is_called_so(tmp_path):
    path = converted(raw(tmp_path / "r.raw", 4 * MIB), tmp_path / "e.qcow2", "qcow2")
    whole = bytearray(path.read_bytes())
    whole[35] = 2
    path.write_bytes(whole)
    with pytest.raises(FerryError, match="encrypted"):
        image_of(Part.whole(path), "e.qcow2")
