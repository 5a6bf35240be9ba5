"""Permits: how many migrations may use a host, a datastore, an SR, or a link at once, over all fleets."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, TypeVar

from pydantic import Field, model_validator

from contracts.bandwidth import Bandwidth
from contracts.base import Contract, Request

KINDS = ("sr", "link", "host", "datastore", "site")
SHARED = ("link", "site")
"""What has a budget of bandwidth."""
MOST_NAMED = 1000
MOST_PER_ASK = 64
"""Resources that one migration may need: its disks lie on so many datastores at most."""


Limit = TypeVar("Limit", int, str)


class CapacityConfig(Request):
    """``[capacity]`` in ferry.toml: a number for each of a kind, and others for some by name. None is no limit."""

    host: int | None = Field(default=None, ge=0, description="first copies and cutovers at once of each ESXi host")
    datastore: int | None = Field(default=None, ge=0, description="of each datastore")
    sr: int | None = Field(default=None, ge=0, description="into each SR")
    link: int | None = Field(default=None, ge=0, description="from each source to each target")
    site: int | None = Field(default=None, ge=0, description="by the workers of each site")
    named: dict[str, int] = Field(
        default={},
        max_length=MOST_NAMED,
        description='of one: "host:vc/esx1", "datastore:vc/ds1", "sr:pool/fast", "link:vc/pool", "site:dc2"',
    )

    bandwidth: dict[str, Bandwidth] = Field(
        default={},
        max_length=MOST_NAMED,
        description='bytes a second of all workers together: "link" or "link:vc/pool", "site" or "site:dc2"',
    )

    @model_validator(mode="after")
    def _of_a_kind(self) -> "CapacityConfig":
        for name, limit in self.named.items():
            kind, _, rest = name.partition(":")
            if kind not in KINDS or not rest:
                raise ValueError(f"named: {name!r} is none: write KIND:NAME with a kind of {', '.join(KINDS)}")
            if limit < 0:
                raise ValueError(f"named: {name}: {limit} is less than nothing")
        for name in self.bandwidth:
            kind, sign, rest = name.partition(":")
            if kind not in SHARED or bool(sign) is not bool(rest):
                raise ValueError(f"bandwidth: {name!r} is none: write {' or '.join(SHARED)}, or KIND:NAME")
        return self

    def flat(self) -> dict[str, int]:
        """By kind, and by name for those that have a limit of their own."""
        kinds = {kind: getattr(self, kind) for kind in KINDS}
        return {**{kind: limit for kind, limit in kinds.items() if limit is not None}, **self.named}

    def limits_of(self, resources: Iterable[str]) -> dict[str, int]:
        """Of those that have a limit."""
        return dict(list(limits_among(self.flat(), resources).items())[:MOST_PER_ASK])


def limits_among(flat: Mapping[str, Limit], resources: Iterable[str]) -> dict[str, Limit]:
    """Of those that have a limit, by their own name or by their kind."""
    found = {each: flat.get(each, flat.get(each.partition(":")[0])) for each in dict.fromkeys(resources)}
    return {each: limit for each, limit in found.items() if limit is not None}


def resources_of(source: str, target: str, sr: str, host: str, datastores: Iterable[str], site: str) -> tuple[str, ...]:
    """What a first copy and a cutover of a machine use, as ``[capacity]`` calls it; of what is not known, nothing."""
    return tuple(
        dict.fromkeys(
            (
                f"sr:{target}/{sr}",
                f"link:{source}/{target}",
                *([f"host:{source}/{host}"] if host else []),
                *([f"site:{site}"] if site else []),
                *(f"datastore:{source}/{each}" for each in datastores if each),
            )
        )
    )


class Ask(Contract):
    """A migration wants one permit of each of ``limits``, all of them or none. It asks again and again: the same number
    is the same wish."""

    holder: str = Field(description="its workflow id")
    run: str = Field(default="", description="its first run: another attempt of the same migration has another")
    number: int
    holds: bool = Field(default=False, description="it has them, and says so in case the table was lost")
    fleet: str = Field(default="", description="workflow id of its fleet; empty: it is one of its own")
    what: Literal["copy", "cutover"] = "copy"
    limits: dict[str, int] = Field(description="by resource, as its worker has them now")


class Release(Contract):
    """It needs them no more; of a later number nothing is said."""

    holder: str
    run: str = ""
    number: int


class Granted(Contract):
    """What a migration is told when it has them."""

    run: str = ""
    number: int


class Held(Contract):
    """Who waits or holds. ``since``: when it asked, or got them."""

    ask: Ask
    since: datetime


class CapacityState(Contract):
    """All that survives a continue-as-new; both by holder."""

    schema_version: int = 1
    limits: dict[str, int] = {}
    waiting: dict[str, Held] = {}
    holding: dict[str, Held] = {}
    runs: int = 1


class HoldersAsked(Contract):
    """Whether they live: workflow id to the first run that is meant."""

    workflows: dict[str, str]


class HoldersGone(Contract):
    """Those that are over, or were never there."""

    workflows: tuple[str, ...] = ()


class ResourceUse(Contract):
    """One limit."""

    limit: int
    held: int
    waited_for: int = Field(default=0, description="migrations that need one of these, among others")


class HolderTold(Contract):
    """One migration. ``why``: what it waits for, in words."""

    holder: str
    fleet: str = ""
    what: str
    resources: tuple[str, ...]
    since: datetime
    why: str = ""


class CapacityStatus(Contract):
    """Who holds what, and who waits for what and why."""

    resources: dict[str, ResourceUse] = {}
    holding: tuple[HolderTold, ...] = ()
    waiting: tuple[HolderTold, ...] = ()
    holders: int = 0
    waiters: int = 0
