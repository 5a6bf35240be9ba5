"""The VHD reader, judged by qemu-img's files, and by streams that were cut, bent or lengthened."""

import random
import shutil
import struct
import subprocess
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disks.vhd import BrokenVhd, VhdStream, checksum_of

MIB = 1 << 20
BLOCK = 2 * MIB
HEADERS = 512 + 1024


def reader_of(stream, most=None):
    """A ``read_into`` over bytes that answers in small, uneven pieces when asked to."""
    at = 0

    def read_into(view):
        nonlocal at
        count = min(len(view), len(stream) - at, most or len(view))
        view[:count] = stream[at : at + count]
        at += count
        return count

    return read_into


def content_of(stream, most=None):
    """The disk, and the offsets of the blocks that were in the stream."""
    vhd = VhdStream(reader_of(stream, most))
    disk, offsets = bytearray(vhd.capacity), []
    for offset, piece in vhd.blocks():
        assert offset + len(piece) <= len(disk)
        disk[offset : offset + len(piece)] = piece
        offsets.append(offset)
    return bytes(disk), offsets


def footer(capacity, *, disk_type=3, header_at=512):
    raw = bytearray(512)
    struct.pack_into(">8sIIQ4s4sI4sQQ4sII16s", raw, 0, b"conectix", 2, 0x10000, header_at, b"\1\2\3\4", b"tst ", 1,
                     b"Wi2k", capacity, capacity, bytes(4), disk_type, 0, b"0123456789abcdef")  # fmt: skip
    struct.pack_into(">I", raw, 64, checksum_of(raw, 64))
    return bytes(raw)


def vhd_of(capacity, blocks, *, block=BLOCK, bitmaps=None, order=None, entries=None, disk_type=3, gap=0):
    """A dynamic VHD made here by the book: ``blocks`` is number to bytes, ``order`` their physical order."""
    entries = entries if entries is not None else -(-capacity // block)
    table_bytes = -(-entries * 4 // 512) * 512
    header = bytearray(1024)
    struct.pack_into(">8sQQIII", header, 0, b"cxsparse", 2**64 - 1, HEADERS, 0x10000, entries, block)
    struct.pack_into(">I", header, 36, checksum_of(header, 36))
    bitmap_bytes = -(-block // 512 // 8 // 512) * 512
    table = [0xFFFFFFFF] * entries
    at, body = HEADERS + table_bytes, bytearray()
    for number in order or sorted(blocks):
        body += bytes(gap)
        table[number] = (at + len(body)) // 512
        bitmap = (bitmaps or {}).get(number, b"\xff" * (block // 512 // 8))
        body += bitmap.ljust(bitmap_bytes, b"\0") + blocks[number].ljust(block, b"\0")
    packed = struct.pack(f">{entries}I", *table).ljust(table_bytes, b"\xff")
    ends = footer(capacity, disk_type=disk_type)
    return ends + bytes(header) + packed + bytes(body) + ends


def noise(seed, length):
    return random.Random(seed).randbytes(length)


@cache
def small_vhd():
    """Three blocks of 4 KiB out of five, in an order of their own."""
    blocks = {0: noise(1, 4096), 2: noise(2, 4096), 4: noise(3, 4096)}
    return vhd_of(5 * 4096, blocks, block=4096, order=[4, 0, 2])


def needs_qemu_img():
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is missing: install qemu-utils (CI does); VHDs made by others are NOT tested")


@pytest.mark.parametrize("size", [1 * MIB, 6 * MIB + 512 * 3, 33 * MIB, 2 * MIB])
def test_a_vhd_that_qemu_img_made_reads_as_its_image(tmp_path, size):
    needs_qemu_img()
    disk = bytearray(size)
    for at in range(0, size - 4096, 5 * MIB):
        disk[at : at + 4096] = noise(at, 4096)
    disk[-512:] = noise(7, 512)
    raw, vhd = tmp_path / "disk.raw", tmp_path / "disk.vhd"
    raw.write_bytes(disk)
    subprocess.run(["qemu-img", "convert", "-O", "vpc", "-o", "subformat=dynamic,force_size=on", raw, vhd], check=True)

    content, _ = content_of(vhd.read_bytes(), most=100_001)

    assert content[:size] == bytes(disk)
    assert not any(content[size:])


def test_an_empty_vhd_that_qemu_img_made_has_no_blocks(tmp_path):
    needs_qemu_img()
    vhd = tmp_path / "disk.vhd"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=dynamic,force_size=on", vhd, "64M"], check=True
    )

    content, offsets = content_of(vhd.read_bytes())

    assert offsets == []
    assert len(content) == 64 * MIB


def test_blocks_come_in_physical_order_whatever_their_place_on_the_disk():
    content, offsets = content_of(small_vhd())

    assert offsets == [4 * 4096, 0, 2 * 4096]
    assert content == noise(1, 4096) + bytes(4096) + noise(2, 4096) + bytes(4096) + noise(3, 4096)


def test_sectors_that_the_bitmap_leaves_out_read_as_zeros_and_not_as_what_the_stream_holds():
    stream = vhd_of(4096, {0: b"\xaa" * 4096}, block=4096, bitmaps={0: bytes([0b10100001])})

    content, _ = content_of(stream)

    kept = [content[at * 512] == 0xAA for at in range(8)]
    assert kept == [True, False, True, False, False, False, False, True]
    assert content.count(0) == 5 * 512


def test_the_last_block_is_clipped_at_the_end_of_the_disk():
    stream = vhd_of(BLOCK + 512, {1: b"\xbb" * BLOCK})

    content, offsets = content_of(stream)

    assert offsets == [BLOCK]
    assert content[BLOCK:] == b"\xbb" * 512


def test_gaps_between_blocks_are_passed_over():
    stream = vhd_of(3 * 4096, {0: b"a" * 4096, 2: b"c" * 4096}, block=4096, gap=1536)

    content, _ = content_of(stream)

    assert content == b"a" * 4096 + bytes(4096) + b"c" * 4096


@given(st.integers(0, len(small_vhd()) - 1))
@settings(max_examples=300, deadline=None)
def test_a_stream_that_ends_early_is_never_taken_for_a_whole_one(length):
    with pytest.raises(BrokenVhd):
        content_of(small_vhd()[:length])


@given(st.integers(0, (HEADERS + 512) * 8 - 1))
@settings(max_examples=500, deadline=None)
def test_a_flipped_bit_in_the_tables_is_found_or_does_no_harm(bit):
    bent = bytearray(small_vhd())
    bent[bit // 8] ^= 1 << bit % 8

    try:
        content, _ = content_of(bytes(bent))
    except BrokenVhd:
        return

    assert content == content_of(small_vhd())[0]


@given(st.integers(0, 512 * 8 - 1))
@settings(max_examples=200, deadline=None)
def test_a_flipped_bit_in_the_final_footer_is_found(bit):
    bent = bytearray(small_vhd())
    bent[len(bent) - 512 + bit // 8] ^= 1 << bit % 8

    with pytest.raises(BrokenVhd):
        content_of(bytes(bent))


@given(st.binary(max_size=4096))
@settings(max_examples=200, deadline=None)
def test_any_bytes_at_all_lead_to_a_refusal_and_nothing_worse(junk):
    with pytest.raises(BrokenVhd):
        content_of(junk)


@given(st.binary(min_size=512, max_size=2048), st.integers(0, len(small_vhd())))
@settings(max_examples=200, deadline=None)
def test_junk_written_over_a_stream_leads_to_a_refusal_or_a_disk_of_the_right_size(junk, at):
    bent = bytearray(small_vhd())
    bent[at : at + len(junk)] = junk

    try:
        content, _ = content_of(bytes(bent))
    except BrokenVhd:
        return

    assert len(content) == 5 * 4096


@pytest.mark.parametrize("appended", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0", b"x" * 512, b"<html>" * 700])
def test_what_a_server_appends_after_a_late_failure_is_told(appended):
    """xapi.md §1.6: the text of an error follows the data on the same connection."""
    with pytest.raises(BrokenVhd):
        content_of(small_vhd() + appended)


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (vhd_of(4096, {0: b""}, block=4096, disk_type=4), "not dynamic"),
        (vhd_of(4096, {0: b""}, block=4096, disk_type=2), "not dynamic"),
        (vhd_of(3 * 4096, {2: b""}, block=4096, entries=3)[: 512 + 1024] + bytes(512), "in or before|lies at byte"),
        (vhd_of(2 * 4096, {1: b""}, block=4096, entries=1 << 23)[:4096], "BAT entries"),
        (vhd_of(4096, {1: b""}, block=4096, entries=2), "past the end"),
        (vhd_of(4096, {0: b""}, block=2048), "blocks of 2048"),
    ],
)
def test_a_field_out_of_bounds_is_refused_by_name(stream, told):
    with pytest.raises(BrokenVhd, match=told):
        content_of(stream)


def test_two_blocks_at_one_place_are_refused():
    bent = bytearray(small_vhd())
    bent[HEADERS : HEADERS + 4] = bent[HEADERS + 8 : HEADERS + 12]

    with pytest.raises(BrokenVhd, match="was reached"):
        content_of(bytes(bent))


def pieces_of(stream):
    return [(offset, bytes(piece)) for offset, piece in VhdStream(reader_of(stream), difference=True).blocks()]


def test_a_difference_is_read_as_such_only_by_who_asks_for_one():
    stream = vhd_of(5 * 4096, {1: noise(1, 4096)}, block=4096, disk_type=4)

    assert pieces_of(stream) == [(4096, noise(1, 4096))]
    with pytest.raises(BrokenVhd, match="not dynamic"):
        VhdStream(reader_of(stream))


def test_sectors_that_are_not_in_a_difference_are_left_out_and_not_taken_for_zeros():
    data = noise(1, 4096)

    pieces = pieces_of(vhd_of(2 * 4096, {0: data}, block=4096, disk_type=4, bitmaps={0: b"\xb1"}))

    assert pieces == [(0, data[:512]), (1024, data[1024:2048]), (3584, data[3584:])]


def test_the_last_block_of_a_difference_is_clipped_at_the_end_of_the_disk():
    stream = vhd_of(4096 + 512, {1: noise(1, 4096)}, block=4096, disk_type=4)

    assert pieces_of(stream) == [(4096, noise(1, 4096)[:512])]
