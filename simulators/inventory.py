"""What a lab holds: the YAML file of `ferry lab up --inventory`, checked and bounded.

YAML 1.2 (``power: on`` is the word "on", versions may be unquoted): anything that a person would
write is understood, a misspelt key is refused with its place.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from ruamel.yaml import YAML

from simulators.extras import Cluster, Device, Settings, Volume

MAX_INVENTORY_BYTES = 1 << 20


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _as_on_off(value: Any) -> Any:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return {"true": "on", "yes": "on", "false": "off", "no": "off"}.get(value.lower(), value.lower())
    return value


def _as_lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_as_text)]
Power = Annotated[Literal["on", "off", "suspended"], BeforeValidator(_as_on_off)]


class Strict(BaseModel):
    """Refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid")


class Datastore(Strict):
    """Where disks lie. ``base_readable``: whether `/folder` serves the frozen base of a running VM.

    Default: yes on NFS, no on VMFS (which locks it), never on vSAN and vVol (which have no files).
    ``allocated_areas``: what a query with change id ``*`` answers there: what is allocated, the whole disk, or a fault,
    as each is seen on NFS.
    """

    name: Text
    type: Literal["VMFS", "NFS", "NFS41", "vsan", "VVOL"] = "VMFS"
    vmfs: int = 6
    base_readable: bool | None = None
    allocated_areas: Literal["exact", "whole", "refused"] = "exact"
    capacity_gib: float = 8192
    free_gib: float | None = None  # default: half of it
    accessible: bool = True
    maintenance: Literal["normal", "enteringMaintenance", "inMaintenance"] = "normal"

    @property
    def serves_frozen_base(self) -> bool:
        """What `/folder` does with the frozen base of a running VM."""
        if self.type in ("vsan", "VVOL"):
            return False
        return self.type.startswith("NFS") if self.base_readable is None else self.base_readable


class Nic(Strict):
    """A virtual network card; ``mac_type: manual`` is an address set by hand."""

    network: Text = "VM Network"
    mac: str = Field(pattern=r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$")
    mac_type: Literal["manual", "generated", "assigned"] = "assigned"
    type: Literal["vmxnet3", "e1000", "e1000e", "sriov"] = "vmxnet3"
    connected: bool = True  # at start


class Disk(Strict):
    """A disk made from an image (any format qemu-img reads; copied in) or empty with ``size_mib``."""

    image: Path | None = None
    size_mib: float | None = None
    datastore: Text
    controller: str = Field("scsi0", pattern=r"^(scsi|sata|ide|nvme)\d$")
    unit: int = 0
    mode: Literal["persistent", "independent_persistent", "independent_nonpersistent"] = "persistent"
    rdm: Literal["virtual", "physical"] | None = None
    sharing: Literal["sharingNone", "sharingMultiWriter"] = "sharingNone"
    encrypted: bool = False
    sector: Literal[512, 4096] = 512  # as the guest sees it; 4096 since vSphere 9.0
    first_class: bool = False  # a disk that has a life of its own (FCD), as container platforms make them


class Guest(Strict):
    """What runs inside: whether VMware Tools answer, and how fast the guest writes (4 KiB anywhere)."""

    tools: Literal["running", "not-running", "not-installed"] = "running"
    tools_status: Literal["current", "old", "too-old", "unmanaged"] = "current"
    os: str = ""  # the guestId of what runs; default: as configured
    hostname: str | None = None  # default: the machine's name
    address: str = "192.0.2.10"  # empty: the tools tell none
    volumes: list[Volume] = []
    writes_mib_per_s: float = 0.0
    writes_span_mib: float | None = None  # keep the writes inside the first MiB; default: the whole disk
    shutdown_burst_mib: float = 1.0
    shutdown_seconds: float = 1.0
    ignores_shutdown: bool = False
    locks_cd: bool = False  # then vSphere asks before it ejects, and nothing happens until somebody answers
    seed: int = 0


class EsxiHost(Strict):
    """A host of the vCenter. Without a name it was added by its address."""

    name: Text | None = None
    connection: Literal["connected", "disconnected", "notResponding"] = "connected"
    maintenance: bool = False
    version: Text = ""  # default: the vCenter's
    build: Text = "24022510"


class Vm(Strict):
    """A virtual machine on vSphere."""

    name: Text
    firmware: Annotated[Literal["bios", "efi"], BeforeValidator(_as_lower)] = "bios"
    power: Power = "on"
    cpus: int = 1
    cores_per_socket: int = 1
    memory_mib: int = 1024
    guest_id: str = "otherLinux64Guest"
    hw_version: int = 19
    annotation: str = ""
    tags: list[Text] = []
    nics: list[Nic] = []
    disks: list[Disk] = []
    guest: Guest = Guest()
    change_tracking: bool = False
    change_tracking_supported: bool = True
    snapshots: list[Text] = []  # names of other people's snapshots, oldest first
    cdrom: str | None = None  # an ISO that is mounted, "[datastore] path"
    devices: list[Device] = []
    settings: Settings = Settings()
    instance_uuid: str | None = None
    folder: str = ""
    host: Text = ""  # name of the host that it is on; default: the first
    autostart: bool = False  # whether its host switches it on when it boots


class Vsphere(Strict):
    """The source: one vCenter (or one bare ESXi host) with one data centre.

    ``licence: free`` is a bare host whose API refuses every change (``kind: esxi``: no vCenter takes one in).
    """

    version: Text = "8.0.3"
    kind: Literal["vcenter", "esxi"] = "vcenter"
    datacenter: Text = "DC"
    user: str = "ferry@vsphere.local"
    privileges_missing: list[str] = []  # ids such as VirtualMachine.State.CreateSnapshot
    answers_privileges: Literal["fetch", "has", "none"] = "fetch"  # how the API tells what an account may do
    clock_skew_seconds: float = 0
    hosts: list[EsxiHost] = [EsxiHost()]
    licence: Annotated[Literal["paid", "evaluation", "free"], BeforeValidator(_as_lower)] = "paid"
    nfc_directory: Literal["end", "head"] = "end"  # where an exported disk's grain directory stands
    datastores: list[Datastore] = [Datastore(name="datastore1")]
    networks: list[Text] = ["VM Network"]
    cluster: Cluster | None = None
    tags_refused: bool = False  # the REST door lets nobody read tags
    vms: list[Vm] = []

    @model_validator(mode="after")
    def _free_is_a_bare_host(self) -> "Vsphere":
        if self.licence == "free" and self.kind != "esxi":
            raise ValueError("licence: free needs kind: esxi, since a vCenter manages no host that is free")
        if self.kind == "esxi":
            self.datacenter = "ha-datacenter"  # whatever was said: a bare host has this one
        return self


class Sr(Strict):
    """A storage repository."""

    name: Text
    type: Literal["ext", "nfs", "lvm", "lvmoiscsi", "udev"] = "ext"  # udev: removable storage
    size_gib: float = 4096
    block_size: Literal[512, 4096] = 512
    qcow2: bool = False  # whether its driver can hold disks as qcow2, too


class XapiNetwork(Strict):
    """A network of the pool. ``purpose``: whether XAPI's NBD server answers on it; all networks must agree."""

    name: Text
    purpose: Literal["", "nbd", "insecure_nbd"] = ""


class XapiHost(Strict):
    """A host of the pool; the first is the coordinator."""

    name: Text
    memory_gib: float = 256
    srs: list[Text] | None = None  # which SRs it has plugged; default: all
    networks: list[Text] | None = None  # to which it has a card; default: all
    cpus: int = 16
    enabled: bool = True  # no: it is in maintenance mode
    clock_skew_seconds: float = 0
    licence_until: Text = "2099-12-31"


class PoolVm(Strict):
    """Somebody else's VM of the pool, as a MAC on a network."""

    name: Text
    mac: str = Field(pattern=r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$")
    power: Power = "on"


class Xcpng(Strict):
    """The target: one pool."""

    pool: Text = "lab"
    version: Text = "8.3.0"
    user: str = "root"
    role: str = "pool-admin"
    hosts: list[XapiHost] = [XapiHost(name="xcp1")]
    srs: list[Sr] = [Sr(name="local-ext")]
    networks: list[XapiNetwork] = [XapiNetwork(name="lan")]
    vms: list[PoolVm] = []
    backup_network: Text = ""  # name of the network by which the pool wants its bytes
    high_availability: bool = False
    rolling_upgrade: bool = False
    takes_chunked: bool = True  # no: a PUT of chunked raw is answered 404
    guest_tools: bool = True  # whether started targets have an agent that tells its metrics to Xen
    limit_console_sessions: bool = False
    console_text: str = ""  # what started targets print on a text console; empty: they have a picture only
    guest_address: Text = "10.0.0.2"  # what they tell as their first address


class Inventory(Strict):
    """The whole lab."""

    vsphere: Vsphere = Vsphere()
    xcpng: Xcpng = Xcpng()


def load_inventory(path: Path) -> Inventory:
    """Read a lab from YAML 1.2; image paths are relative to the file.

    Raises:
        ValueError: the file is too large, no YAML, or does not say what a lab is made of.
    """
    raw = path.read_bytes()
    if len(raw) > MAX_INVENTORY_BYTES:
        raise ValueError(f"{path} is larger than {MAX_INVENTORY_BYTES} bytes")
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 2)
    inventory = Inventory.model_validate(yaml.load(raw.decode()) or {})
    for vm in inventory.vsphere.vms:
        for disk in vm.disks:
            if disk.image is not None:
                disk.image = (path.parent / disk.image).resolve()
    return inventory
