"""What a preflight wants to know of a machine beyond what is built again elsewhere. None and empty: nobody told."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from contracts.base import Contract


class Tools(StrEnum):
    """The guest tools of the platform that a machine comes from, as they are installed."""

    UNKNOWN = ""
    NONE = "none"
    CURRENT = "current"
    OLD = "old"
    TOO_OLD = "too-old"
    UNMANAGED = "unmanaged"
    """Of the guest's own distribution: open-vm-tools."""


class GuestVolume(Contract):
    """A file system inside the guest; ``disk_keys``: device keys of the disks that it lies on."""

    path: str
    capacity: int | None = Field(default=None, description="bytes")
    free: int | None = Field(default=None, description="bytes")
    disk_keys: tuple[int, ...] | None = None


class GuestFacts(Contract):
    """What the tools inside tell."""

    os: str = Field(default="", description="the OS that runs, as the platform calls it; may not be the configured one")
    tools: Tools = Tools.UNKNOWN
    tools_version: str = ""
    hostname: str | None = Field(default=None, description="empty: the tools run and tell none")
    addresses: tuple[str, ...] | None = Field(default=None, description="empty: the tools run and tell none")
    volumes: tuple[GuestVolume, ...] = ()


class DeviceFacts(Contract):
    """Devices that are not moved, each as people see it listed."""

    passthrough: tuple[str, ...] = ()
    vgpu: tuple[str, ...] = ()
    usb: tuple[str, ...] = Field(default=(), description="attached devices, not the controllers")
    tpm: bool = False
    memory_modules: tuple[str, ...] = Field(default=(), description="persistent memory (NVDIMM)")
    ports: tuple[str, ...] = Field(default=(), description="serial and parallel ports, floppy drives")
    clocks: tuple[str, ...] = Field(default=(), description="watchdogs and precision clocks")
    host_cdrom: bool = Field(default=False, description="a CD drive is the host's own")


class SettingFacts(Contract):
    """How the machine is configured, as far as it is lost on the way or stands in it."""

    template: bool = False
    cpu_hot_add: bool = False
    memory_hot_add: bool = False
    cpu_affinity: tuple[int, ...] = ()
    numa_affinity: str = ""
    cpu_reservation: int = Field(default=0, description="MHz")
    memory_reservation: int = Field(default=0, description="bytes")
    latency: str = ""
    nested: bool = False
    vbs: bool = Field(default=False, description="Windows' virtualization-based security")
    fault_tolerant: bool = False
    replicated: bool = False
    managed_by: str = Field(default="", description="the vCenter extension that made it")
    vapp: str = Field(default="", description="the vApp that it is in")
    vapp_properties: tuple[str, ...] = ()
    encrypted_home: bool = False
    disk_serials: bool = Field(default=False, description="the guest sees the disks' uuids")
    question: str = Field(default="", description="what the platform waits to be answered before it goes on")
    boot_disk: int | None = Field(default=None, description="device key of the disk that is first in a boot order")
    boots_from_network: bool = False


class SnapshotFacts(Contract):
    """One that is not ours; ``depth``: 1 for a root."""

    ref: str
    name: str
    created: datetime | None = None
    depth: int = 1


class PlaceFacts(Contract):
    """Where it runs."""

    cluster: str = ""
    drs: bool = False
    dpm: bool = False
    ha: bool = False
    host_rules: tuple[str, ...] = Field(default=(), description="names of rules that tie it to hosts")
    machine_rules: tuple[str, ...] = Field(default=(), description="names of rules that tie it to other machines")
