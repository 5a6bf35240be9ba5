"""VHD streams that we write: judged by our own reader, by qemu-img, and by libvhdi, a reader of neither."""

import io
import shutil
import subprocess

import pytest
import pyvhdi
from hypothesis import given, settings
from hypothesis import strategies as st

from disks.vhd import VhdStream
from disks.vhd_writer import BLOCK, vhd_of
from tests.fuzz.readers import Said

SECTOR = 512


@st.composite
def disks(draw):
    """A size in sectors, and disjoint pieces of whole sectors."""
    sectors = draw(st.integers(1, 3 * BLOCK // SECTOR + 7))
    cuts = sorted(draw(st.sets(st.integers(0, sectors), max_size=12)))
    pieces = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        length = min(end - start, 300) * SECTOR
        pieces.append((start * SECTOR, draw(st.binary(min_size=1, max_size=8)) * length))
    return sectors * SECTOR, [(start, data[: len(data) // SECTOR // 8 * SECTOR or SECTOR]) for start, data in pieces]


def laid_out(size, pieces):
    content = bytearray(size)
    for start, data in pieces:
        content[start : start + len(data)] = data
    return bytes(content)


@settings(max_examples=60, deadline=None)
@given(disks())
def test_our_reader_and_libvhdi_read_what_our_writer_writes(disk):
    size, pieces = disk
    pieces = [(start, data[: size - start]) for start, data in pieces]
    written = b"".join(vhd_of(pieces, size))
    stream = VhdStream(Said(written).recv_into)
    content = bytearray(size)
    for offset, piece in stream.blocks():
        content[offset : offset + len(piece)] = piece
    assert stream.capacity == size
    assert bytes(content) == laid_out(size, pieces)
    assert by_libvhdi(written) == laid_out(size, pieces)


@pytest.mark.parametrize("size", [SECTOR, BLOCK - SECTOR, 5 * BLOCK, 5 * BLOCK + 3 * SECTOR, 137 << 20])
def test_qemu_img_and_libvhdi_see_the_same_disk(tmp_path, size):
    if shutil.which("qemu-img") is None:
        pytest.fail("qemu-img is missing (Debian: qemu-utils)")
    pieces = [(0, b"boot" * 128)]
    if size > 3 * BLOCK:
        pieces += [
            (BLOCK - SECTOR, b"over" * 256),
            (2 * BLOCK + SECTOR, b"data" * 65536),
            (size - SECTOR, b"last" * 128),
        ]
    content = laid_out(size, pieces)
    vhd, raw = tmp_path / "disk.vhd", tmp_path / "disk.raw"
    vhd.write_bytes(b"".join(vhd_of(pieces, size)))
    # By the size that the footer tells, not by its geometry, which is rounded.
    opts = f"driver=vpc,force_size_calc=current_size,file.filename={vhd}"
    subprocess.run(["qemu-img", "convert", "--image-opts", opts, "-O", "raw", raw], check=True)
    assert raw.read_bytes() == content
    assert by_libvhdi(vhd.read_bytes()) == content


def by_libvhdi(vhd):
    """The whole disk."""
    file = pyvhdi.file()
    file.open_file_object(io.BytesIO(vhd))
    try:
        assert file.disk_type == pyvhdi.disk_types.DYNAMIC
        content = file.read_buffer_at_offset(file.media_size, 0)
        assert len(content) == file.media_size
        return content
    finally:
        file.close()
