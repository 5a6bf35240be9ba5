"""One target machine from nothing to running, through our client, on a simulated pool."""

import pytest

from contracts.machine import Power
from tests.conformance.xapi_target import (
    MIB,
    errand,
    file_of,
    machine,
    made_shell,
    noise,
    pool_and_target,
    send,
    stored,
)


@pytest.fixture
def both(tmp_path):
    with pool_and_target(tmp_path) as both:
        yield both


def test_a_machine_is_made_filled_read_back_and_started(both):
    simulator, target = both
    first, last = noise(1, 3 * MIB), noise(2, 4096 + 512)
    odd = machine().disks[1].capacity

    shell = made_shell(target)
    send(target, shell, 0, {8 * MIB: first, 0: first[:4096]})
    send(target, shell, 1, {odd - 4096 - 512: last})
    mark = errand().mark()
    snapshot = target.snapshot_shell(shell.vm, errand())
    target.unblock(shell.vm, mark)
    target.start(shell.vm, mark)

    for disk in shell.disks:
        assert stored(target, snapshot.vdis[disk.vdi]) == file_of(simulator, disk.vdi)
    content = file_of(simulator, shell.disks[0].vdi)
    assert content[8 * MIB : 11 * MIB] == first
    assert content[:4096] == first[:4096]
    assert content.count(0, 4096, 8 * MIB) == 8 * MIB - 4096
    assert file_of(simulator, shell.disks[1].vdi)[:odd].endswith(last)
    assert target.power(shell.vm) is Power.ON
