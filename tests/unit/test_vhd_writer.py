"""VHD streams that we write: judged by our own reader, by qemu-img, and by an independent reader of the format."""

import shutil
import struct
import subprocess

import pytest
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
def test_our_reader_reads_what_our_writer_writes(disk):
    size, pieces = disk
    pieces = [(start, data[: size - start]) for start, data in pieces]
    stream = VhdStream(Said(b"".join(vhd_of(pieces, size))).recv_into)
    content = bytearray(size)
    for offset, piece in stream.blocks():
        content[offset : offset + len(piece)] = piece
    assert stream.capacity == size
    assert bytes(content) == laid_out(size, pieces)


@pytest.mark.parametrize("size", [SECTOR, BLOCK - SECTOR, 5 * BLOCK, 5 * BLOCK + 3 * SECTOR, 137 << 20])
def test_qemu_img_and_an_independent_reader_see_the_same_disk(tmp_path, size):
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
    assert independently_read(vhd.read_bytes()) == content


def independently_read(vhd):
    """By the specification's words alone (Virtual Hard Disk Image Format Specification 1.0), with none of our code."""
    footer = vhd[-512:]
    assert footer == vhd[:512]
    assert footer[:8] == b"conectix"
    size, kind = struct.unpack_from(">Q", footer, 48)[0], struct.unpack_from(">I", footer, 60)[0]
    assert kind == 3
    header = vhd[struct.unpack_from(">Q", footer, 16)[0] :][:1024]
    assert header[:8] == b"cxsparse"
    table, entries, block = struct.unpack_from(">Q", header, 16)[0], *struct.unpack_from(">II", header, 28)
    for part, at in ((footer, 64), (header, 36)):
        told = struct.unpack_from(">I", part, at)[0]
        assert told == 0xFFFFFFFF ^ sum(part[:at] + bytes(4) + part[at + 4 :])
    content = bytearray(size)
    for number in range(entries):
        place = struct.unpack_from(">I", vhd, table + 4 * number)[0]
        if place == 0xFFFFFFFF:
            continue
        bitmap = vhd[place * 512 :][: block // 512 // 8]
        data = place * 512 + -(-len(bitmap) // 512) * 512
        for sector in range(block // 512):
            if bitmap[sector // 8] >> (7 - sector % 8) & 1:
                start = number * block + sector * 512
                content[start : start + 512] = vhd[data + sector * 512 :][:512]
    return bytes(content)
