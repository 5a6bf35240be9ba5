"""What migrations that are over have left behind anywhere, and what became of it: `ferry gc`."""

import hashlib
import json
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from contracts.base import Contract, Request
from contracts.sites import Site

Sort = Literal["living", "leftover", "data", "ask", "keep"]
"""``living``: its migration goes on, hands off. ``leftover``: ours, of a migration that is over; removed by default.
``data``: holds copied data; removed only where it is named as such (SAFETY 22). ``ask``: removed only where it is
named, for its owner is not known here, or it keeps a source from coming back. ``keep``: not for `gc` to remove."""


class Found(Contract):
    """A thing that bears a mark of Ferry, as a platform sees it."""

    id: str = Field(description="SYSTEM/KIND/NAME, the same each time: what a person names it by")
    system: str = Field(description="name in ferry.toml; store for the store")
    side: Literal["source", "target", "store"]
    kind: str
    name: str = Field(description="for people")
    subject: str = Field(default="", description="machine_id, or uuid of the object")
    migration: str = ""
    workflow: str = Field(default="", description="empty where the mark does not tell")
    since: datetime | None = None
    bytes: int = 0
    removal: str = Field(default="", description="what removing it does, as a sentence")
    holds_data: bool = False
    ask: str = Field(default="", description="why it is removed only where it is named")
    keep: str = Field(default="", description="why it is not for gc")
    state: str = Field(default="", description="digest of how it is: another one, and it is not removed")


class Leftover(Found):
    """With what is known of its owner."""

    sort: Sort
    owner: str = Field(description="living, over, or unknown")
    reason: str = Field(default="", description="why that sort, as a sentence")
    age_s: float | None = Field(default=None, description="since it was made, or since its owner ended")


class Unseen(Contract):
    """A system that could not be looked at."""

    system: str
    code: str
    message: str


class LookForLeftovers(Request):
    """Everywhere."""


class LeftoverReport(Contract):
    """What was found. ``cut``: so many more than one answer can hold."""

    items: tuple[Leftover, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    cut: int = 0


class RemoveLeftover(Contract):
    """One thing, as it was listed. ``named``: a person named it; ``data``: as something that holds data."""

    item: Leftover
    named: bool = False
    data: bool = False


class Removal(Contract):
    """What became of it."""

    id: str
    outcome: Literal["removed", "gone", "refused", "failed"]
    code: str = ""
    message: str = ""


class CollectRequest(Request):
    """``remove`` None: look only."""

    remove: tuple[RemoveLeftover, ...] | None = None
    site: Site = ""


class CollectReport(Contract):
    """Of a look, what was found; of a removal, what became of each."""

    found: LeftoverReport = LeftoverReport()
    removed: tuple[Removal, ...] = ()


def state_of(*facts: Any) -> str:
    """A short digest of what must not have changed when it is removed."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


ORDER = (
    "task", "dom0-vbd", "base", "snapshot", "tracking", "fence", "overrides", "mark", "claim", "test-vm",
    "test-clone", "test-network", "shell", "pre-start", "vdi", "vdi-data",
)  # fmt: skip
"""Kinds in the order in which they are removed: what needs the mark comes before it."""
