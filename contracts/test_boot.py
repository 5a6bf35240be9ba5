"""A test migration: clones of the target's disks, booted in a network without uplink, and thrown away."""

from datetime import datetime, timedelta

from pydantic import Field

from contracts.after import Vitals
from contracts.base import Contract, Request
from contracts.durations import Duration
from contracts.steps import Errand, Shell

TEST_SUFFIX = " (ferry test)"
"""How the name of a test VM ends: it says what it is, in XO too."""


class TestBoot(Request):
    """Boot what was copied so far, beside everything. The source is not touched; passes wait until it is over."""

    __test__ = False  # for pytest, which takes it for a test

    who: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=2000)
    within: Duration = Field(
        default=timedelta(minutes=10),
        le=timedelta(hours=4),
        description="it is watched until its tools answer, or for so long",
    )


class TestOrder(Contract):
    """Make, start, or throw away one test VM. ``number``: the how manyeth of its migration; an older one is refused."""

    __test__ = False

    errand: Errand
    shell: Shell
    name: str
    number: int


class TestMade(Contract):
    """The test VM."""

    __test__ = False

    vm: str = Field(description="uuid")
    network: str = Field(description="uuid of its network, which has no uplink")


class TestBootReport(Contract):
    """How it went. ``outcome``: ``tools-answer``, ``runs``, ``stopped``, ``failed`` (before it could be watched)."""

    __test__ = False

    at: datetime
    who: str
    note: str = ""
    outcome: str
    message: str = ""
    passes: int = Field(default=0, description="that what it booted from had behind it")
    vitals: Vitals | None = None
