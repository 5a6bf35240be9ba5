"""What a fleet answers of each of its members: the query ``members``."""

from datetime import datetime

from pydantic import Field

from contracts.base import Contract

MOST_WORDS = 300
"""Characters of a message: a thousand rows stay far below what Temporal lets pass."""


class MemberRow(Contract):
    """One member."""

    vm: str
    wave: str
    workflow: str
    site: str = ""
    standing: str
    phase: str = ""
    asks: bool = Field(default=False, description="it waits for a person's yes")
    needs_human: str = Field(default="", description="the code of why")
    code: str = Field(default="", description="of its error")
    message: str = ""
    waits_for: str = Field(default="", description="whose turn comes first, of one that would be cut over")
    tries: int = 0
    bytes_sent: int = 0
    bytes_total: int = 0
    rate: float = 0.0
    passes: int = 0
    downtime_s: float | None = None
    began: datetime | None = None
    copied: datetime | None = None
    ended: datetime | None = None
    approved_by: str = ""


class FleetMembers(Contract):
    """All of them, in the order of their waves."""

    members: tuple[MemberRow, ...] = ()
