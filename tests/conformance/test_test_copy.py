"""The shell of a test copy: its name says what it is, and it has no card with which to meet its source."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from platforms.xapi.target import XapiTarget
from simulators.xapi.server import XapiSimulator
from tests.conformance.xapi_target import errand, machine, order_for, pool_and_target


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[XapiSimulator, XapiTarget]]:
    with pool_and_target(tmp_path, speed=10) as pool:
        yield pool


def test_it_is_named_so_and_has_no_card(both):
    simulator, target = both

    for _ in range(2):
        shell = target.make_shell(order_for(target, machine(), test_copy=True))

    vm = simulator.db.get("VM", simulator.db.by_uuid("VM", shell.vm))
    assert vm["name_label"] == "web01 (test copy)"
    assert vm["VIFs"] == []
    assert len(shell.disks) == 2


def test_it_starts_without_any_network(both):
    _, target = both
    shell = target.make_shell(order_for(target, machine(), test_copy=True))
    target.unblock(shell.vm, errand().mark())

    target.start(shell.vm, errand().mark())

    assert target.vitals(shell.vm).power == "on"
