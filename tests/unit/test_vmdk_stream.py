"""The reader of stream-optimised VMDKs: any disk, in any pieces; a stream that ends early is never taken for whole."""

import itertools
import random
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disks.vmdk_stream import BrokenVmdk, VmdkStream
from simulators.vsphere.vmdk_writer import stream
from tests.conftest import require_tool

GRAIN = 64 << 10
STYLES = ("end", "head")


@st.composite
def disks(draw):
    """A capacity in whole sectors, and bytes in some of its grains."""
    capacity = draw(st.integers(1, 8 * GRAIN // 512)) * 512
    content = bytearray(capacity)
    for number in draw(st.sets(st.integers(0, (capacity - 1) // GRAIN))):
        start = number * GRAIN
        data = random.Random(number).randbytes(draw(st.integers(1, GRAIN)))[: capacity - start]
        content[start : start + len(data)] = data
    return bytes(content)


def parts(content, style):
    """Head, grains, tables, footer: each by itself."""
    grains = list(range(-(-len(content) // GRAIN)))
    return list(stream(len(content), grains, lambda at, length: content[at : at + length], "x", style=style))


def streamed(content, style):
    return b"".join(parts(content, style))


def dribbling(data, chance):
    """A source that gives what it likes each time, at least a byte while there is one."""
    at = 0

    def read_into(view):
        nonlocal at
        count = min(len(view), len(data) - at, chance.choice((1, 13, 512, 70_000, 1 << 20)))
        view[:count] = data[at : at + count]
        at += count
        return count

    return read_into


def read_through(vmdk, chance, content):
    """Ascending, in pieces of any length, some of which are passed over; each is as it must be."""
    at = 0
    while at < len(content):
        length = min(len(content) - at, 512 * chance.randrange(1, 400))
        if chance.random() < 0.7 or at + length == len(content):
            piece = bytearray(length)
            vmdk.read_into(at, memoryview(piece))
            assert piece == content[at : at + length]
        at += length


@given(disks(), st.sampled_from(STYLES), st.integers(0, 1 << 30))
@settings(max_examples=150, deadline=None)
def test_any_disk_is_read_in_whatever_pieces_it_comes_and_is_asked_for(content, style, seed):
    chance = random.Random(seed)
    vmdk = VmdkStream(dribbling(streamed(content, style), chance))

    assert vmdk.capacity == len(content)
    read_through(vmdk, chance, content)
    assert vmdk.ended


@given(disks(), st.sampled_from(STYLES), st.data())
@settings(max_examples=150, deadline=None)
def test_one_that_ends_early_is_never_taken_for_a_whole_one(content, style, data):
    told = parts(content, style)
    whole = b"".join(told)
    borders = [0, *itertools.accumulate(map(len, told[:-1]))]
    cut = data.draw(st.sampled_from(borders) | st.integers(0, len(whole) - 1))

    with pytest.raises(BrokenVmdk):
        vmdk = VmdkStream(dribbling(whole[:cut], random.Random(cut)))
        vmdk.read_into(0, memoryview(bytearray(len(content))))


@given(st.binary(max_size=4096))
@settings(max_examples=200, deadline=None)
def test_any_bytes_at_all_lead_to_a_refusal_and_nothing_worse(junk):
    with pytest.raises(BrokenVmdk):
        VmdkStream(dribbling(junk, random.Random(1)))


@given(disks())
@settings(max_examples=15, deadline=None)
def test_what_qemu_img_writes_is_read_as_well(tmp_path_factory, content):
    qemu_img = require_tool("qemu-img", "qemu-utils")
    folder = tmp_path_factory.mktemp("vmdk")
    (folder / "raw").write_bytes(content)
    options = ["-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([qemu_img, "convert", "-f", "raw", *options, folder / "raw", folder / "made"], check=True)
    chance = random.Random(len(content))

    read_through(VmdkStream(dribbling((folder / "made").read_bytes(), chance)), chance, content)
