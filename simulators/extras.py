"""What a machine of the lab may have besides disks and NICs: odd devices, odd settings, what its guest tells."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


Device = Literal[
    "pci", "vgpu", "usb", "tpm", "nvdimm", "serial", "parallel", "floppy", "watchdog", "precision-clock", "host-cdrom"
]


class Volume(_Strict):
    """A file system that the guest tells of. ``disk``: number of the disk that it lies on; None: it does not tell."""

    path: str
    capacity_mib: float = 10240
    free_mib: float = 5120
    disk: int | None = 0


class Settings(_Strict):
    """Of the machine's configuration. Each is shown where vSphere shows it (``vim.vm.ConfigInfo`` and beside)."""

    template: bool = False
    cpu_hot_add: bool = False
    memory_hot_add: bool = False
    cpu_affinity: list[int] = []
    numa_affinity: str = ""
    cpu_reservation_mhz: int = 0
    memory_reservation_mib: int = 0
    latency: Literal["normal", "high"] = "normal"
    nested: bool = False
    vbs: bool = False
    fault_tolerant: bool = False
    replicated: bool = False
    managed_by: str = ""
    vapp: bool = False
    vapp_properties: dict[str, str] = {}
    encrypted_home: bool = False
    disk_serials: bool = False
    secure_boot: bool = False
    question: str = ""
    boot: int | Literal["network"] | None = Field(default=None, description="a disk's number, or the network")
    consolidation_needed: bool = False
    connection: Literal["connected", "disconnected", "orphaned", "inaccessible", "invalid"] = "connected"


class Rule(_Strict):
    """A rule of the cluster: machines that are tied to hosts, or to each other."""

    name: str
    kind: Literal["hosts", "together", "apart"] = "hosts"
    vms: list[str]
    enabled: bool = True


class Cluster(_Strict):
    """The host's cluster; without one it is a lone host."""

    name: str = "cluster1"
    drs: bool = False
    dpm: bool = False
    ha: bool = False
    rules: list[Rule] = []
