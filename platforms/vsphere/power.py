"""The power of a machine. What is already as it should be is success; hard calls look at the epoch first."""

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


def power_of(session: Session, vm: Located) -> Power:
    """Whether it runs."""
    return POWER[
        read_one(session, vm.ref, ["runtime.powerState"], f"read the power of {vm.name}")["runtime.powerState"]
    ]


def shut_down_guest(session: Session, vm: Located) -> None:
    """Ask the guest, and return at once."""
    _unless_it_is(
        session,
        vm,
        Power.OFF,
        lambda: session.call(
            f"shut {vm.name} down", lambda instance: vm.managed(instance).ShutdownGuest(), repeat=False
        ),
    )


def switch(session: Session, vm: Located, mark: OwnerMark, wanted: Power) -> None:
    """Hard on or off. Raises ``source.stale_epoch``."""

    def work() -> None:
        check_epoch(session, vm, mark)  # SAFETY 14
        if wanted is Power.ON:
            carry_out(session, vm, f"power {vm.name} on", lambda managed: managed.PowerOnVM_Task())
        else:
            carry_out(session, vm, f"power {vm.name} off", lambda managed: managed.PowerOffVM_Task())

    _unless_it_is(session, vm, wanted, work)


def _unless_it_is(session: Session, vm: Located, wanted: Power, work: Callable[[], Any]) -> None:
    if power_of(session, vm) is wanted:
        return
    try:
        work()
    except FerryError as error:
        # Between the look and the call it may have come to what was wanted, by the guest or an earlier attempt.
        if error.code != "vsphere.fault" or power_of(session, vm) is not wanted:
            raise
