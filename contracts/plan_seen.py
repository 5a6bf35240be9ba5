"""What `ferry plan` saw, as a plan pins it: enough to see that something changed, and to rehearse from the file alone.

Written and read by us, in the lower part of a plan; a newer Ferry may write more.
"""

from datetime import datetime

from pydantic import Field

from contracts.base import Contract
from contracts.steps import TargetFacts


class PinnedDisk(Contract):
    """A disk of the source."""

    disk_id: str
    slot: str
    capacity: int = Field(description="bytes")
    datastore: str = ""
    datastore_type: str = ""
    allocated: int | None = Field(default=None, description="bytes, as the source last heard; None: not told")
    transport: str = Field(default="", description="what will probably read it; empty: nothing is known to be able to")


class PinnedNic(Contract):
    """A network card."""

    mac: str
    network: str


class PinnedCheck(Contract):
    """A code that the preflight would say now."""

    code: str
    severity: str = Field(description="blocker or warning")
    message: str = ""
    overridable: bool = False


class PinnedVm(Contract):
    """One VM as it was seen."""

    name: str
    machine_id: str = Field(default="", description="instanceUuid on vSphere")
    ref: str = ""
    source: str = ""
    power: str = "unknown"
    firmware: str = ""
    warm: bool = Field(default=True, description="it is copied while it runs, by change tracking")
    cpus: int = 0
    memory: int = Field(default=0, description="bytes")
    host: str = ""
    folder: str = ""
    tags: tuple[str, ...] = ()
    disks: tuple[PinnedDisk, ...] = ()
    nics: tuple[PinnedNic, ...] = ()
    foreign_snapshots: tuple[str, ...] = ()
    bytes: int = Field(default=0, description="to copy in the first pass, at most")
    checks: tuple[PinnedCheck, ...] = Field(default=(), description="blockers and warnings of the preflight")

    @property
    def datastores(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(disk.datastore for disk in self.disks))

    @property
    def transports(self) -> tuple[str, ...]:
        """Each once, ``?`` where none is known."""
        return tuple(dict.fromkeys(disk.transport or "?" for disk in self.disks))


class PinnedSr(Contract):
    """An SR that members go to."""

    uuid: str = ""
    name: str = ""
    type: str = ""
    thick: bool = Field(default=False, description="it reserves a disk's whole size at once")
    free: int = Field(default=0, description="bytes")


class PinnedTarget(Contract):
    """A pool. ``networks``: name or uuid to uuid; ``configured``: source network to target network, of ferry.toml."""

    pool: str = ""
    networks: dict[str, str] = {}
    configured: dict[str, str] = {}
    srs: dict[str, PinnedSr] = Field(default={}, description="by the name that the plan calls it; empty: the default")


class PlanSeen(Contract):
    """All of it."""

    at: datetime
    targets: dict[str, PinnedTarget] = {}
    limits: dict[str, int] = Field(
        default={}, description="permits that its machines need of `[capacity]`, as it was then: for rehearsals"
    )
    bandwidth: dict[str, str] = Field(default={}, description="the same, of budgets of bandwidth")
    machines: dict[str, PinnedVm] = Field(default={}, description="by the name that the plan calls it")


def target_seen(facts: TargetFacts, sr: str, before: PinnedTarget | None = None) -> PinnedTarget:
    """With one SR more.

    Args:
        sr: as the plan calls it.
    """
    pinned = PinnedSr(uuid=facts.sr_uuid, name=facts.sr_name, type=facts.sr_type, thick=facts.thick, free=facts.sr_free)
    srs = dict(before.srs) if before is not None else {}
    return PinnedTarget(
        pool=facts.pool, networks=facts.networks, configured=facts.configured_networks, srs={**srs, sr: pinned}
    )
