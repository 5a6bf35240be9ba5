"""A virtual machine as the source shows it, in words that no platform owns."""

from enum import StrEnum

from pydantic import Field

from contracts.base import Contract
from contracts.machine_facts import DeviceFacts, GuestFacts, PlaceFacts, SettingFacts, SnapshotFacts

LOST = ("orphaned", "invalid", "inaccessible")
"""vSphere's connection states of what does not come back by itself; ``disconnected`` does, with its host."""


class Power(StrEnum):
    """Whether a machine runs."""

    ON = "on"
    OFF = "off"
    SUSPENDED = "suspended"


class Firmware(StrEnum):
    """What boots it."""

    BIOS = "bios"
    UEFI = "uefi"


class OwnerMark(Contract):
    """Which migration owns a machine (SAFETY 12)."""

    migration: str
    workflow: str
    epoch: int = 0


class Nic(Contract):
    """A network card."""

    index: int
    mac: str
    network: str
    label: str = ""
    connected_at_start: bool = True
    kind: str = Field(default="", description="such as vmxnet3 or sriov")
    mac_set_by_hand: bool = False


class SourceDisk(Contract):
    """A disk of the source.

    ``disk_id`` is its identity: device key, backing uuid and controller:unit joined into one word that is
    fit for a file name. ``obstacle`` is the code of the error that forbids moving it, if any.
    """

    disk_id: str
    key: int
    backing_uuid: str = ""
    slot: str = Field(description="controller and unit, such as scsi0:0")
    capacity: int = Field(description="bytes, as the guest sees it")
    datastore: str = ""
    datastore_type: str = ""
    file: str = ""
    thin: bool = True
    change_tracked: bool = False
    obstacle: str | None = None
    sector: int = Field(default=512, description="bytes of a sector, as the guest sees it")
    delta: bool = Field(default=False, description="it is the delta of another file")
    managed_volume: str = Field(default="", description="id of the first class disk that it is")
    inaccessible: bool = Field(default=False, description="its datastore does not answer")


class Machine(Contract):
    """Everything that must be known to build it again elsewhere; disks and NICs in their order."""

    source: str
    machine_id: str = Field(description="instanceUuid on vSphere; the key of all further calls")
    ref: str = Field(description="the platform's own reference, such as vm-12")
    name: str
    power: Power
    firmware: Firmware
    secure_boot: bool = False
    bios_uuid: str = ""
    cpus: int = 1
    cores_per_socket: int = 1
    memory: int = Field(description="bytes")
    guest_os: str = ""
    guest_name: str = ""
    tools_running: bool = False
    description: str = ""
    tags: tuple[str, ...] = ()
    tags_unread: str = Field(default="", description="why tags could not be read; empty when they were")
    host: str = ""
    has_cdrom: bool = False
    mounted_iso: str | None = None
    nics: tuple[Nic, ...] = ()
    disks: tuple[SourceDisk, ...] = ()
    foreign_snapshots: tuple[str, ...] = ()
    our_snapshots: tuple[str, ...] = ()
    change_tracking: bool = False
    change_tracking_supported: bool = True
    needs_consolidation: bool = False
    owner: OwnerMark | None = None
    read_only: bool = Field(default=False, description="its host's licence lets the API change nothing (free ESXi)")
    firmware_on_disk: str = Field(default="", description="bios or uefi, where the first disk tells and was asked")
    firmware_told: bool = Field(default=True, description="the source says which firmware it has")
    hardware_told: bool = Field(default=True, description="the source says how many CPUs, how much memory, which NICs")
    in_files: bool = Field(default=False, description="it lies in files that nobody runs; what they came from may run")
    guest: GuestFacts = GuestFacts()
    devices: DeviceFacts = DeviceFacts()
    settings: SettingFacts = SettingFacts()
    place: PlaceFacts = PlaceFacts()
    snapshots: tuple[SnapshotFacts, ...] = Field(default=(), description="those of other people, parents first")


class StoreRoom(Contract):
    """A datastore, and what a machine's snapshot takes of it; all in bytes."""

    datastore: str
    grown: int
    free: int
    capacity: int


class MachineSummary(Contract):
    """One line of `ferry inventory`."""

    name: str
    machine_id: str
    ref: str
    power: Power
    guest_name: str = ""
    cpus: int = 0
    memory: int = 0
    disks: int = 0
    capacity: int = Field(default=0, description="bytes of all disks together")
    change_tracking: bool = False
    snapshots: int = 0
    owner: str | None = Field(default=None, description="workflow id of the migration that owns it")
