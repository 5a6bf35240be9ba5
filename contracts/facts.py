"""What was read of both systems beside the machine, in parts. None is "was not told": no check speaks of it."""

from pydantic import Field

from contracts.base import Contract


class Lacking(Contract):
    """A right that our account has not, and on what."""

    right: str = Field(description="such as VirtualMachine.State.CreateSnapshot, or VM.snapshot")
    on: str = ""


class Dialled(Contract):
    """One address as seen from the worker. ``trouble``: why nobody answered; empty where somebody did."""

    address: str
    port: int
    trouble: str = ""


class EsxiHost(Contract):
    """A host that runs the machine, or holds one of its datastores."""

    name: str
    runs_it: bool = False
    version: str = ""
    build: str = ""
    maintenance: bool | None = None
    resolves: bool | None = Field(default=None, description="its name, or the address that ferry.toml gives it")
    dialled: tuple[Dialled, ...] = ()

    def closed(self, port: int) -> str:
        """Why that port does not answer; empty where it does, or was not tried."""
        return next((each.trouble for each in self.dialled if each.port == port), "")


class Datastore(Contract):
    """A datastore that the machine has disks on."""

    name: str
    type: str = ""
    accessible: bool | None = None
    maintenance: bool | None = None
    free: int | None = Field(default=None, description="bytes")
    export: str = Field(default="", description="what ferry.toml says of it: a mounted path, or nfs://…")
    export_key: str = Field(default="", description="how ferry.toml spells its name")
    export_trouble: str | None = Field(default=None, description="why the machine's folder is not seen there")
    export_writable: bool | None = Field(default=None, description="it is mounted here so that it can be written")


class PoolHost(Contract):
    """A host of the pool."""

    name: str
    enabled: bool = True
    live: bool = True
    coordinator: bool = False
    memory_total: int | None = Field(default=None, description="bytes")
    memory_free: int | None = Field(default=None, description="bytes")
    cpus: int | None = None
    sees_sr: bool = False
    networks: tuple[str, ...] = Field(default=(), description="uuids of those that it is plugged to")
    clock_skew: float | None = Field(default=None, description="seconds that it is ahead of the worker")
    licence_over: str = Field(default="", description="edition and day, where its licence has run out")
    dialled: Dialled | None = Field(default=None, description="where our bytes would go")

    @property
    def serves(self) -> bool:
        """Whether XAPI would start something there."""
        return self.enabled and self.live


class CardSeen(Contract):
    """A MAC that a VM of the pool has."""

    mac: str
    vm: str
    running: bool = False
    migration: str = ""
