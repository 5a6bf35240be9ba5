"""What a workflow says to its activities, and what they answer. Never lists of extents."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from contracts.base import Contract
from contracts.facts import CardSeen, Datastore, Dialled, EsxiHost, Lacking, PoolHost
from contracts.machine import Machine, OwnerMark
from contracts.windows import Opening

VHD_MOST = 2040 << 30
"""Bytes of the largest VHD (xapi.md §1.14)."""


VHD_BLOCK = 2 << 20
"""Bytes that a VHD's table has or has not."""


class Errand(Contract):
    """On whose behalf an activity works: part of every order."""

    migration: str = Field(description="id of the migration: the first run's id")
    workflow: str
    source: str
    target: str
    vm: str = Field(description="name, for people")
    machine_id: str = ""
    store_id: str = Field(default="", description="SAFETY 6; empty until the preflight has told")
    read_only: bool = Field(default=False, description="nothing is marked, frozen, fenced or switched at the source")
    site: str = Field(default="", description="whose workers do it; empty: those of none")

    def mark(self, epoch: int = 0) -> OwnerMark:
        """The owner mark of this migration."""
        return OwnerMark(migration=self.migration, workflow=self.workflow, epoch=epoch)


class PreflightOrder(Contract):
    """Read both sides; touch nothing."""

    errand: Errand
    sr: str | None = None
    networks: dict[str, str] = {}
    template: str | None = None
    overrides: dict[str, str] = Field(default={}, description="code of a check to the reason why it shall not block")
    vmware_tools: str = "leave"
    approved_steps: tuple[str, ...] = ()
    segment_bytes: int = Field(default=0, description="0: not told")
    bandwidth: str = ""
    smoke: bool = Field(default=False, description="is asked for, of a target that starts if its source runs")


class Check(Contract):
    """One finding. ``blocker`` stops before anything is touched."""

    code: str
    severity: str = Field(description="blocker, warning or note")
    message: str
    overridable: bool = False
    override: str = Field(default="", description="why it was overridden, in the words of the request")


class Preflight(Contract):
    """What was found, and what will be built from it."""

    machine: Machine
    checks: tuple[Check, ...] = ()
    store_id: str
    pool: str = ""
    sr_uuid: str = ""
    sr_name: str = ""
    networks: dict[str, str] = Field(default={}, description="source network to target network uuid")
    template: str = ""
    warm: bool = Field(default=True, description="change tracking can be had, so passes while it runs make sense")
    limits: dict[str, int] = Field(default={}, description="what it needs permits of, and how many there are")


class SourceFacts(Contract):
    """What the system is that a machine comes from, and what it lets us do with that machine."""

    product: str = Field(default="", description="as it calls itself, with its version")
    lacking: tuple[Lacking, ...] | None = Field(default=None, description="privileges of docs/vsphere.md")
    hosts: tuple[EsxiHost, ...] | None = None
    datastores: tuple[Datastore, ...] | None = None
    clock_skew: float | None = Field(default=None, description="seconds that it is ahead of the worker")
    has_vddk: bool = Field(default=False, description="ferry.toml configures VDDK")
    unlooked: tuple[str, ...] = Field(default=(), description="what it did not answer, for `ferry doctor`")
    in_files: bool = Field(default=False, description="a folder, which has neither hosts nor rights")


class TargetFacts(Contract):
    """What a pool offers. ``networks``: name or uuid to uuid; ``configured_networks``: from ferry.toml."""

    pool: str
    sr_uuid: str = ""
    sr_name: str = ""
    sr_type: str = ""
    sr_free: int = Field(default=0, description="bytes")
    disk_most: int = Field(default=VHD_MOST, description="bytes of the largest disk that the SR can hold")
    srs: tuple[str, ...] = ()
    networks: dict[str, str] = {}
    configured_networks: dict[str, str] = {}
    product: str = ""
    version: str = ""
    hosts: tuple[PoolHost, ...] | None = None
    sr_shared: bool | None = None
    sr_creates: bool | None = Field(default=None, description="its driver makes VDIs: not one of ISOs or of USB sticks")
    internal_networks: tuple[str, ...] = Field(default=(), description="uuids of those that no host has a card for")
    cards: tuple[CardSeen, ...] | None = None
    lacking: tuple[Lacking, ...] | None = Field(default=None, description="messages that the account's role refuses")
    backup_network: str = Field(default="", description="its name, where the pool's bytes go by it")
    backup_doors: tuple[Dialled, ...] | None = Field(default=None, description="of the hosts that see the SR, there")
    ha_enabled: bool | None = None
    upgrading: bool | None = None
    reads_ranges: bool | None = Field(default=None, description="a network is for NBD")

    @property
    def thick(self) -> bool:
        """Whether the SR reserves a disk's whole size at once."""
        return self.sr_type.startswith("lvm")


class ShellOrder(Contract):
    """Build the VM on the target."""

    errand: Errand
    machine: Machine
    sr_uuid: str
    networks: dict[str, str]
    template: str
    test_copy: bool = Field(default=False, description="named so, and without cards: it meets nobody")
    epoch: int = 0


class ShellDisk(Contract):
    """A VDI made for a disk."""

    disk_id: str
    slot: str
    vdi: str = Field(description="uuid")
    userdevice: str
    capacity: int
    virtual_size: int = Field(description="bytes, as the SR rounded it")
    prezeroed: bool


class Shell(Contract):
    """The VM on the target, its start blocked."""

    vm: str = Field(description="uuid")
    disks: tuple[ShellDisk, ...]


class ShellRef(Contract):
    """One VM on the target."""

    errand: Errand
    vm: str = Field(description="uuid")
    epoch: int = 0
    disk_ids: tuple[str, ...] = ()


class NeverRanOrder(ShellRef):
    """See whether the cutover of the epoch ``cutover`` came to no start."""

    cutover: int


class NeverRan(Contract):
    """What was seen. ``reason``: why it is not certain; empty: the mark of divergence is off."""

    reason: str = ""


class RemovedShell(Contract):
    """What became of a shell: VDIs with data are kept."""

    kept_vdis: tuple[str, ...] = ()


class FreezeOrder(Contract):
    """Freeze the whole VM for one pass. ``final``: it is off, and must stay so."""

    errand: Errand
    pass_no: int
    final: bool = False


class Rung(Contract):
    """One transport of a disk's ladder, and why it can be used or not."""

    transport: str = Field(description="nfs, https, nfc or nbd")
    usable: bool
    reason: str


class FrozenDisk(Contract):
    """A disk that stands still. ``change_id`` is its landmark-to-be; empty where nothing is tracked."""

    disk_id: str
    key: int
    slot: str
    capacity: int
    change_id: str = ""
    backing_uuid: str = ""
    chain: tuple[str, ...] = Field(default=(), description="descriptor paths, base first")
    flat: str = Field(default="", description="path of the base's raw extent")
    content_id: str = Field(default="", description="of an off disk without a change id; empty: not to be had")
    transport: str = "https"
    reason: str = Field(default="", description="why that transport")
    ladder: tuple[Rung, ...] = Field(default=(), description="every transport, best first")

    @property
    def usable(self) -> tuple[str, ...]:
        """Names of the transports that can read it now, best first."""
        return tuple(rung.transport for rung in self.ladder if rung.usable) or ((self.transport,) if self.flat else ())


class Freeze(Contract):
    """One freeze of all disks of a VM. ``snapshot`` is None where the VM is off and needs none."""

    pass_no: int
    snapshot: str | None
    final: bool = False
    disks: tuple[FrozenDisk, ...]
    taken_at: datetime | None = None
    foreign: tuple[str, ...] = Field(default=(), description="refs of other people's snapshots that were there")


class CopyOrder(Contract):
    """Move one disk's part of one pass."""

    errand: Errand
    pass_no: int
    freeze: Freeze
    disk_id: str
    target_disk: ShellDisk
    segment_bytes: int
    bandwidth: str = ""
    host: str = Field(default="", description="the host that serves the disk, for the limit of disks at once")
    distrust: str = Field(default="", description="why change tracking is not believed, whatever it says")


class CopyReport(Contract):
    """What one disk's part of one pass moved, over all attempts."""

    disk_id: str
    pass_no: int
    complete: bool = Field(description="false: it was cut, the rest is owed")
    kind: str = Field(default="delta", description="initial, delta or compare")
    reason: str = Field(default="", description="why not a delta, where one was due")
    transport: str = Field(default="", description="what read it last")
    transport_reason: str = Field(default="", description="why that one, and what was lost on the way")
    bytes_planned: int = 0
    bytes_sent: int = 0
    bytes_sent_again: int = Field(default=0, description="of segments that an earlier attempt may have sent in part")
    seconds: float = 0.0
    owed: int = 0


class SealOrder(Contract):
    """End a pass: compare the freeze with how it was, advance landmarks or note what is owed, thaw."""

    errand: Errand
    freeze: Freeze
    complete: bool
    given_up: bool = Field(default=False, description="the source ran on since, so the pass is void")


class SealReport(Contract):
    """How a pass ended. ``void``: the freeze did not hold, so no landmark advanced."""

    void: bool = False
    reason: str = ""
    owed: int = 0
    rewritten: int = Field(
        default=0, description="bytes of the 2 MiB blocks that were written since the whole disks were read back"
    )


class CalendarOrder(Contract):
    """Which window is open at that time, or opens next."""

    windows: tuple[str, ...]
    after: datetime


class CalendarAnswer(Contract):
    """None: they are all over."""

    window: Opening | None = None


class SourceOrder(Contract):
    """One step on the source machine."""

    errand: Errand
    epoch: int = 0


class PowerOffOrder(Contract):
    """The power-off ladder."""

    errand: Errand
    policy: str = "guest-then-ask"
    patience: timedelta = timedelta(minutes=10)
    epoch: int = 0
    deadline: timedelta = Field(default=timedelta(minutes=2), description="for a hard power-off to be seen")


class Asked(Contract):
    """What the ladder's heartbeat carries: when the guest was asked; None: not yet."""

    at: datetime | None = None


class PoweredOff(Contract):
    """How the source went off."""

    at: datetime
    how: str = Field(description="guest, hard or already")


class FenceJournal(Contract):
    """What was changed on the source so that it does not come back by itself, as data for the way back."""

    changes: dict[str, str] = {}
    left: tuple[str, ...] = Field(default=(), description="what could not be changed, and why")


class FenceOrder(SourceOrder):
    """Fence it. ``overrides``: what could switch it on by itself, while it still runs; ``network``: once it is off."""

    part: Literal["overrides", "network"] = "network"


class UnfenceOrder(Contract):
    """Take the fence away."""

    errand: Errand
    journal: FenceJournal
    epoch: int = 0
    part: Literal["overrides", "network"] = "network"


class SnapshotReport(Contract):
    """The pre-start snapshot: VDI uuid to the uuid of its snapshot."""

    snapshot: str
    vdis: dict[str, str]


class BaseReport(Contract):
    """Snapshots to be read back while the source runs: VDI uuid to snapshot uuid; empty where they are of no use."""

    vdis: dict[str, str] = {}
    reason: str = Field(default="", description="why there are none; empty where ranges are read by NBD")


ProofPart = Literal["whole", "between", "since"]
"""The whole snapshot; the whole VDI between two passes, while the source runs; what was written since then."""


class ProofOrder(Contract):
    """Compare one disk with the manifest: the target's snapshot, or the source at power-off."""

    errand: Errand
    target_disk: ShellDisk
    snapshot_vdi: str = ""
    freeze: Freeze | None = None
    bandwidth: str = Field(default="", description="of reading the source")
    part: ProofPart = Field(default="whole", description="of the target")
    base: str = Field(
        default="", description="uuid of the snapshot that is read between passes, and told against later"
    )
    reason: str = Field(default="", description="why no better way, to be told in the report")
    source_off: bool = Field(default=False, description="the source must stay off meanwhile")


class ProofReport(Contract):
    """The outcome of one proof of one disk. ``differences``: offsets of the first blocks that differ."""

    disk_id: str
    holds: bool
    made: bool = Field(default=True, description="False: the pool does not offer what it takes")
    method: str = ""
    root_digest: str = ""
    blocks: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    differences: tuple[int, ...] = ()


class BothProofs(Contract):
    """Of one disk: the target by a checksum, beside the same reading of the source that proves the source."""

    sent: ProofReport
    source: ProofReport


class Progress(Contract):
    """What a heartbeat of the copying and proving activities carries."""

    disk: str
    step: str = "copy"
    done: int = 0
    total: int = 0
    in_flight: int = 0
    rate: float = Field(default=0.0, description="bytes per second, lately")
