"""Moving a VM's disks to another SR of its pool while it runs: what is asked, and what was done."""

from pydantic import Field

from contracts.base import Contract, Request
from contracts.sites import Site


class MoveDiskRequest(Request):
    """Three words are enough: ``{"target": "pool", "vm": "web01", "sr": "nfs1"}``."""

    target: str = Field(min_length=1, description="name of [targets.NAME]")
    vm: str = Field(min_length=1, description="name or uuid of the VM there, which must run")
    sr: str = Field(min_length=1, description="name or uuid")
    disk: str = Field(default="", description="userdevice or VDI uuid; empty: all of them")
    who: str = Field(min_length=1, max_length=200, pattern=r"\S")
    site: Site = ""


class MovedDisk(Contract):
    """One disk. ``moved`` False: it was on that SR already."""

    device: str
    vdi: str = Field(description="uuid, as it is now: XAPI gives a moved disk another one")
    moved: bool = True


class MoveDiskReport(Contract):
    """All that were asked for."""

    vm: str
    sr: str
    disks: tuple[MovedDisk, ...]
