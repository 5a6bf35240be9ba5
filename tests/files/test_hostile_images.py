"""Images made to have qemu read another file, another state, or zeros: each is refused before a byte is copied."""

import os
import struct
import subprocess

import pytest

from contracts.errors import FerryError
from platforms.files.images import check_whole
from platforms.files.ova import Part
from platforms.files.vmdk import check_grains
from tests.files.making import MIB, raw
from tests.files.test_damaged import converted, image, refused

HEAD = '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="{}"\n'


def refusal(path):
    with pytest.raises(FerryError) as told:
        check_whole(image(path), path.name)
    return told.value.code


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret").write_bytes(b"SECRET!!" * 131072)
    (tmp_path / "x").mkdir()
    raw(tmp_path / "x" / "a-flat.vmdk", MIB)
    return tmp_path / "x"


@pytest.mark.parametrize(
    "line",
    [
        'RW 2048 FLAT "{secret}" 0 x',
        'RW 2048\x0bFLAT "{secret}" 0',
        'RW\n2048\nFLAT "{secret}" 0',
        'RW 2048 VMFS "{secret}" x',
        'RDONLY 2048 FLAT "a-flat.vmdk" 0',
        "RW 2048 ZERO",
        'RW 2048 ODD "a-flat.vmdk"',
        'RW 0 FLAT "a-flat.vmdk" 0',
    ],
)
def test_an_extent_that_qemu_would_follow_or_leave_out_on_its_own(folder, line):
    said = line.format(secret=folder.parent / "secret")
    (folder / "a.vmdk").write_text(HEAD.format("monolithicFlat") + said + '\nRW 2048 FLAT "a-flat.vmdk" 0\n')
    assert refusal(folder / "a.vmdk") in ("file.unreadable", "file.path")


def test_a_sparse_extent_that_is_a_descriptor_of_its_own(folder):
    inner = HEAD.format("monolithicFlat") + f'RW 2048 FLAT "{folder.parent / "secret"}" 0\n'
    head = b"KDMV" + struct.pack("<IIQQQQ", 1, 3, 0, 128, 1, 20)
    (folder / "e-s001.vmdk").write_bytes(head.ljust(512, b"\0") + inner.encode().ljust(20 * 512, b"\0"))
    (folder / "e.vmdk").write_text(HEAD.format("twoGbMaxExtentSparse") + 'RW 2048 SPARSE "e-s001.vmdk"\n')
    assert refusal(folder / "e.vmdk") == "file.unreadable"


def test_a_folder_that_is_a_link_leads_nowhere(folder):
    (folder / "sub").symlink_to(folder.parent)
    (folder / "a.vmdk").write_text(HEAD.format("monolithicFlat") + 'RW 2048 FLAT "sub/secret" 0\n')
    assert refusal(folder / "a.vmdk") == "file.unreadable"
    converted(folder / "a-flat.vmdk", folder.parent / "other.qcow2", "qcow2")
    assert refusal(over(folder / "a.qcow2", "sub/other.qcow2", "qcow2")) == "file.chain"


def test_a_header_that_points_behind_all_files(folder):
    head = b"KDMV" + struct.pack("<IIQQQQ", 1, 3, 2048, 128, 1 << 63, 20)
    (folder / "a.vmdk").write_bytes(head.ljust(512, b"\0"))
    assert refusal(folder / "a.vmdk") == "file.truncated"


def over(path, backing, form):
    words = ["qemu-img", "create", "-u", "-f", "qcow2", "-F", form, "-b", backing, str(path), "1M"]
    subprocess.run(words, check=True, capture_output=True)
    return path


def test_what_a_guest_wrote_into_its_raw_disk_names_no_other_disk(folder):
    converted(folder / "a-flat.vmdk", folder / "other.qcow2", "qcow2")
    assert refusal(over(folder / "a.raw", "other.qcow2", "qcow2")) == "file.chain"
    above = image(over(folder / "top.qcow2", "a.raw", "raw"))
    assert above.node["backing"]["driver"] == "raw", "as its child says"
    (folder / "base").write_bytes(bytes(MIB))
    assert image(over(folder / "named.qcow2", "base", "raw")).node["backing"]["driver"] == "raw"
    assert refusal(over(folder / "wrong.qcow2", "a-flat.vmdk", "qcow2")) in ("file.chain", "file.unreadable")


@pytest.mark.parametrize("cut", [1, 512, 4096, 40960])
def test_a_last_grain_that_is_cut_is_not_read_as_zeros(folder, cut):
    (folder / "full.raw").write_bytes(b"\x55" * (4 * MIB))
    path = converted(folder / "full.raw", folder / "s.vmdk", "vmdk", "subformat=monolithicSparse")
    check_whole(image(path), path.name)
    os.truncate(path, path.stat().st_size - cut)
    assert refusal(path) == "file.truncated"


def test_more_tables_than_any_disk_has_are_not_looked_through(folder):
    head = b"KDMV" + struct.pack("<IIQQQQIQQ", 1, 3, 1 << 40, 128, 1, 20, 1, 21, 21)
    (folder / "huge.vmdk").write_bytes(head.ljust(512, b"\0"))
    os.truncate(folder / "huge.vmdk", 8 << 30)
    refused(lambda: check_grains(Part.whole(folder / "huge.vmdk"), "huge.vmdk"), "file.too_large")


def test_a_fixed_vhd_that_lacks_its_middle(folder):
    path = converted(raw(folder / "v.raw", 4 * MIB), folder / "v.vhd", "vpc", "subformat=fixed")
    whole = path.read_bytes()
    path.write_bytes(whole[: 2 * MIB] + whole[-512:])
    assert refusal(path) == "file.truncated"
    path.write_bytes(whole[-512:] + whole[512:])  # a guest's first sector, which qemu takes for the header
    assert refusal(path) == "file.unreadable"
