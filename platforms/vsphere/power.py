"""The power of a machine. What is already as it should be is success; every call looks at the epoch first."""

import time
from collections.abc import Callable
from typing import Any

from contracts.errors import FerryError
from contracts.machine import OwnerMark, Power
from platforms.vsphere.configuring import carry_out
from platforms.vsphere.inventory import POWER
from platforms.vsphere.located import Located
from platforms.vsphere.marks import check_epoch
from platforms.vsphere.properties import read_one
from platforms.vsphere.session import Session

LATELY = 2.0
"""Seconds that a look at the epoch holds good for: a worker that was stopped between the look and the call looks
again. What is left of that gap is one system call; vSphere offers nothing that would close it."""


def power_of(session: Session, vm: Located) -> Power:
    """Whether it runs."""
    return POWER[
        read_one(session, vm.ref, ["runtime.powerState"], f"read the power of {vm.name}")["runtime.powerState"]
    ]


def shut_down_guest(session: Session, vm: Located, mark: OwnerMark) -> None:
    """Ask the guest, and return at once. Raises ``source.stale_epoch``."""

    def work() -> None:
        _look_at_the_epoch(session, vm, mark)
        session.call(f"shut {vm.name} down", lambda instance: vm.managed(instance).ShutdownGuest(), repeat=False)

    _unless_it_is(session, vm, Power.OFF, work)


def switch(session: Session, vm: Located, mark: OwnerMark, wanted: Power) -> None:
    """Hard on or off. Raises ``source.stale_epoch``."""

    def work() -> None:
        _look_at_the_epoch(session, vm, mark)
        if wanted is Power.ON:
            carry_out(session, vm, f"power {vm.name} on", lambda managed: managed.PowerOnVM_Task())
        else:
            carry_out(session, vm, f"power {vm.name} off", lambda managed: managed.PowerOffVM_Task())

    _unless_it_is(session, vm, wanted, work)


def _look_at_the_epoch(session: Session, vm: Located, mark: OwnerMark) -> None:
    """SAFETY 14. Raises ``source.stale_epoch``."""
    while True:
        began = time.monotonic()
        check_epoch(session, vm, mark)
        if time.monotonic() - began < LATELY:
            return


def _unless_it_is(session: Session, vm: Located, wanted: Power, work: Callable[[], Any]) -> None:
    if power_of(session, vm) is wanted:
        return
    try:
        work()
    except FerryError as error:
        # Between the look and the call it may have come to what was wanted, by the guest or an earlier attempt.
        if error.code != "vsphere.fault" or power_of(session, vm) is not wanted:
            raise
