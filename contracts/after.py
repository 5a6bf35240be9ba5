"""What comes after the start of the target: smoke tests, probation, and what becomes of the source."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from contracts.base import Contract, Request
from contracts.console import Seen
from contracts.durations import Duration
from contracts.machine import Power
from contracts.steps import Errand

Port = Annotated[int, Field(ge=1, le=65535)]


class Smoke(Request):
    """What the target must show after its start. That it runs is always asked for."""

    ports: tuple[Port, ...] = Field(default=(), description="TCP, tried from the worker")
    address: str = Field(
        default="", max_length=255, description="where they are tried; default: what the guest's tools tell"
    )
    guest_tools: bool = Field(default=False, description="the guest's tools must answer")
    within: Duration = Field(default=timedelta(minutes=10), description="a slow boot is no failed one")
    reboot: bool = Field(default=False, description="then it is rebooted, by its tools or by you, and tested again")
    console: bool = Field(
        default=False, description="its console is looked at: text where the pool has it, else a picture"
    )


class Vitals(Contract):
    """How a VM on the target does at one moment."""

    power: Power
    tools: bool = Field(default=False, description="its guest's tools have told something since it was booted")
    addresses: tuple[str, ...] = Field(default=(), description="as they tell them; no link-local ones")
    booted_at: datetime | None = Field(default=None, description="by the host's clock; None: not told")


class SmokeOrder(Contract):
    """Look until all is as it must be, or ``within`` is over."""

    errand: Errand
    vm: str = Field(description="uuid on the target")
    ports: tuple[int, ...] = ()
    address: str = ""
    guest_tools: bool = False
    within: timedelta = timedelta(0)
    console: bool = False
    booted_since: datetime | None = Field(default=None, description="a boot that began then is not yet the next one")


class SmokeReport(Contract):
    """One smoke test. ``missing``: what was not as it must be, a phrase each; empty: it passed."""

    at: datetime | None = None
    when: str = Field(default="", description="after the start, after the reboot, in probation, at the end")
    vitals: Vitals
    open_ports: tuple[str, ...] = Field(default=(), description="address:port")
    missing: tuple[str, ...] = ()
    console: Seen | None = Field(default=None, description="where it was asked for")
    accepted_by: str = Field(default="", description="who took it as it is, though it did not pass")

    @property
    def passed(self) -> bool:
        """Whether all was as it must be."""
        return not self.missing


class RebootOrder(Contract):
    """Reboot the target in order, unless it was since ``booted_at``."""

    errand: Errand
    vm: str = Field(description="uuid on the target")
    epoch: int = 0
    booted_at: datetime | None = None


class RetireOrder(Contract):
    """Rename and annotate the source that is off for good."""

    errand: Errand
    epoch: int = 0
    suffix: str = Field(description="what its name, whatever that is by then, ends with from then on")
    annotation: str


class Retired(Contract):
    """What the source is called now."""

    name: str


class RemoveOrder(Contract):
    """Remove a retired source with its disks (SAFETY 22). ``confirmed``: its name or instanceUuid, typed by a human."""

    errand: Errand
    confirmed: str
    target_vm: str = Field(description="uuid: the VM that it has become")
    disk_ids: tuple[str, ...]
