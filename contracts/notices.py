"""What is told to people who are not looking: a webhook's message, and where it goes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from contracts.base import Contract, Request
from contracts.secret_refs import SecretRef, reference

MOST_NAMES = 20
"""VMs named in one message: the number says the rest."""


class Event(StrEnum):
    """What may be told."""

    NEEDS_HUMAN = "needs-human"
    APPROVAL = "approval"
    FLEET_PAUSED = "fleet-paused"
    FLEET_ENDED = "fleet-ended"


def _url(value: str) -> str:
    """A chat's webhook is a secret itself: whoever has it may post."""
    return value if value.startswith("https://") else reference(value)


class NotifyConfig(Request):
    """``[notify]``."""

    url: Annotated[str, AfterValidator(_url)] = Field(description="https://…, or a reference where it is a secret")
    secret: SecretRef | None = Field(default=None, description="signs each message: X-Ferry-Signature")
    ca_file: Path | None = None
    events: tuple[Event, ...] = Field(default=tuple(Event), description="default: all")


class Notice(Contract):
    """One message. ``key``: the same one sent twice has the same."""

    key: str
    event: Event
    text: str
    workflow: str
    fleet: str = ""
    vms: tuple[str, ...] = ()
    count: int = 0
    code: str = ""
    command: str = Field(default="", description="what to type next")
    at: str = ""


class NoticeOrder(Contract):
    """What to send."""

    notices: tuple[Notice, ...]


class NoticeAnswer(Contract):
    """``configured``: no: this worker has no [notify], and need not be asked again in this run."""

    configured: bool = True
    sent: int = 0


class LivingOrder(Contract):
    """Which of these workflows are still there?"""

    fleet: str
    workflows: tuple[str, ...]


class LivingAnswer(Contract):
    """Those that closed."""

    gone: tuple[str, ...] = ()
