"""``ferry.toml``: which systems there are, how to trust them, and where the store is. Never a password."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError, model_validator

from contracts.bandwidth import Bandwidth
from contracts.base import Request, fields_told
from contracts.capacity import CapacityConfig
from contracts.errors import FerryError
from contracts.notices import NotifyConfig
from contracts.secret_refs import SecretRef
from contracts.sites import Site

CONFIG_VARIABLE = "FERRY_CONFIG"


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str) else value


SecretRefs = Annotated[list[SecretRef], BeforeValidator(_one_or_several)]


class System(Request):
    """How to reach and trust one system. Exactly one way of trust holds: CA, pins, the machine's own CAs."""

    url: str = Field(pattern=r"^https://")
    username: str
    password: SecretRef
    ca_file: Path | None = None
    tls_sha256: list[str] = Field(default=[], description="SHA-256 of the certificates, one per host")
    insecure: bool = False


class VddkConfig(Request):
    """VDDK as the operator supplies it: Ferry never ships it."""

    libdir: str = Field(default="", description="the unpacked library, VMware's or one that looks like it")
    nbdkit: str = "nbdkit"
    plugin: str = Field(default="vddk", description="nbdkit's plugin: its name, and what must come right after it")
    transports: str = "nbdssl:nbd"


class SourceConfig(System):
    """A source of VMs."""

    kind: Literal["vsphere"] = "vsphere"
    site: Site = Field(default="", description="whose workers reach it: what a request says, where it says nothing")
    nfs: dict[str, str] = Field(default={}, description="datastore to its mounted path or nfs://host/export")
    vddk: VddkConfig | None = None
    hosts: dict[str, str] = Field(default={}, description="name of an ESXi host to the address to be dialled for it")
    disks_per_host: int = Field(default=8, ge=1, description="read at once from one host, by each worker")


class FilesConfig(Request):
    """A folder of appliances and disk images that every worker of the queue can read. Nothing is written there."""

    kind: Literal["files"]
    folder: Path
    site: Site = Field(default="", description="whose workers reach it")


def _kind_of(said: object) -> str:
    return str(said.get("kind", "vsphere") if isinstance(said, dict) else getattr(said, "kind", "vsphere"))


_KINDS = frozenset({"vsphere", "files"})
"""Which pydantic puts after the name of a source, where nobody wrote it."""
AnySource = Annotated[
    Annotated[SourceConfig, Tag("vsphere")] | Annotated[FilesConfig, Tag("files")], Discriminator(_kind_of)
]


class TargetConfig(System):
    """A pool."""

    kind: Literal["xcp-ng"] = "xcp-ng"
    sr: str | None = None
    networks: dict[str, str] = Field(default={}, description='source network to target network; "*" is the rest')


class TemporalConfig(Request):
    """Where Temporal is; Temporal's own environment and profile win over it. TLS and API key are said there alone."""

    address: str | None = None
    namespace: str | None = None
    payload_key: SecretRefs = Field(default=[], description="encrypts payloads; of several the first, all decrypt")


class WorkerConfig(Request):
    """What one worker allows itself."""

    bandwidth: Bandwidth = Field(default="", description="of all its copies together")
    site: Site = Field(default="", description="it does the work of this site only: migrations that say `site`")
    build_id: str = Field(
        default="",
        max_length=63,
        pattern=r"^[A-Za-z0-9._-]*$",
        description="of the code that it runs: Worker Versioning, so that two builds may work side by side",
    )


class S3Config(Request):
    """A bucket of Amazon S3 or of a store that speaks its language and heeds conditional writes.

    Without keys, the AWS SDK's own chain is asked: environment, profile, the machine's role.
    """

    bucket: str = Field(min_length=1)
    prefix: str = ""
    endpoint: str | None = Field(default=None, pattern=r"^https://", description="none for Amazon's own")
    region: str | None = None
    access_key: SecretRef | None = None
    secret_key: SecretRef | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _both_keys_or_none(self) -> "S3Config":
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key go together")
        return self


class StoreConfig(Request):
    """Where manifests and journals live: in a folder or in a bucket."""

    path: Path | None = None
    s3: S3Config | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "StoreConfig":
        if (self.path is None) == (self.s3 is None):
            raise ValueError("give either path = … or a table [store.s3]")
        return self


class Config(Request):
    """The whole file."""

    sources: dict[str, AnySource] = {}
    targets: dict[str, TargetConfig] = {}
    temporal: TemporalConfig = TemporalConfig()
    store: StoreConfig | None = None
    worker: WorkerConfig = WorkerConfig()
    capacity: CapacityConfig = CapacityConfig()
    notify: NotifyConfig | None = None


def config_path(given: Path | None) -> Path | None:
    """``--config``, else ``FERRY_CONFIG``, else ``ferry.toml`` here if there is one."""
    if given is not None:
        return given
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    here = Path("ferry.toml")
    return here if here.exists() else None


def load_config(path: Path) -> Config:
    """Read and check the file; paths in it are taken as they are written.

    Raises:
        FerryError: ``config.invalid``, naming the key.
    """
    try:
        raw = tomllib.loads(path.read_text())
        config = Config.model_validate(raw)
    except OSError as error:
        raise FerryError("config.invalid", f"cannot read {path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise FerryError("config.invalid", f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        told = fields_told(error, "the file", kinds=_KINDS)
        raise FerryError("config.invalid", f"{path}: {told}") from None
    return config
