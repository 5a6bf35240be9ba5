"""The source simulator's disks are what qemu-img says they are."""

import random
import subprocess

import pytest

from simulators.vsphere.chain import Disk
from simulators.vsphere.tracking import GRAIN, ChangeTracking
from tests.conftest import require_tool

MIB = 1 << 20
CAPACITY = 9 * MIB + 512


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path, "web01", CAPACITY)
    yield made
    made.close()


def seen_by_qemu(disk, descriptor, tmp_path):
    qemu_img = require_tool("qemu-img", "qemu-utils")
    out = tmp_path / "seen.raw"
    subprocess.run([qemu_img, "convert", "-O", "raw", disk.folder / descriptor, out], check=True)
    return out.read_bytes()


def test_a_chain_of_deltas_reads_in_qemu_as_the_guest_sees_it(disk, tmp_path):
    chance = random.Random(3)
    for _ in range(3):
        for _ in range(20):
            disk.write(chance.randrange(CAPACITY // 4096) * 4096, chance.randbytes(4096))
        disk.write(CAPACITY - 512, chance.randbytes(512))
        disk.freeze()

    assert seen_by_qemu(disk, disk.leaf.descriptor, tmp_path) == disk.read(0, CAPACITY)
    assert seen_by_qemu(disk, "web01-000001.vmdk", tmp_path) == disk.read(0, CAPACITY, upto=1)


def test_a_frozen_link_never_changes(disk):
    disk.write(0, b"a" * 4096)
    disk.freeze()
    frozen = disk.base_file.read_bytes()

    disk.write(0, b"b" * 4096)

    assert disk.base_file.read_bytes() == frozen
    assert disk.read(0, 4096) == b"b" * 4096


def test_consolidation_puts_the_delta_into_the_base(disk):
    disk.freeze()
    disk.write(CAPACITY - 512, b"z" * 512)

    disk.merge(1)

    assert len(disk.links) == 1
    assert disk.base_file.read_bytes()[-512:] == b"z" * 512


def test_removing_the_older_of_two_snapshots_keeps_what_the_guest_sees(disk, tmp_path):
    disk.freeze()
    disk.write(0, b"1" * 4096)
    disk.freeze()
    disk.write(4096, b"2" * 4096)

    disk.merge(1)

    assert disk.read(0, 8192) == b"1" * 4096 + b"2" * 4096
    assert seen_by_qemu(disk, disk.leaf.descriptor, tmp_path) == disk.read(0, CAPACITY)


def test_change_tracking_tells_what_was_written_between_two_ids():
    tracking = ChangeTracking()
    tracking.record(0, 4096)
    first = tracking.close()
    tracking.record(5 * GRAIN, 4096)
    second = tracking.close()
    tracking.record(9 * GRAIN, 4096)

    assert tracking.since(first, 2) == {5}
    assert tracking.since(second, None) == {9}
    assert tracking.since(first, None) == {5, 9}
    with pytest.raises(KeyError):
        tracking.since("52 00/1", 2)


def test_a_guest_whose_lab_is_down_writes_into_nobody_elses_disk(tmp_path):
    """A shutdown that was asked for sleeps on; the numbers of closed files are given to others at once."""
    gone = Disk(tmp_path, "gone", 1 << 20)
    gone.close()
    other = Disk(tmp_path, "other", 1 << 20)

    with pytest.raises(OSError, match="Bad file descriptor"):
        gone.write(0, b"x" * 512)

    assert other.read(0, 1 << 20) == bytes(1 << 20)
    other.close()
