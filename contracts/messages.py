"""What a person says to a running migration, and the answer."""

from typing import Literal

from pydantic import Field

from contracts.bandwidth import Bandwidth
from contracts.base import Contract, Request
from contracts.durations import Duration
from contracts.names import Phase
from contracts.windows import Windows


class Approve(Request):
    """Yes to the cutover, for the facts that the ticket digests."""

    approval_ticket: str = Field(min_length=1)
    who: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=2000)
    expires: Duration | None = Field(default=None, description="so long this yes counts, if not less by the request")
    max_downtime: Duration | None = Field(default=None, description="it counts for no longer predicted downtime")


class Reject(Request):
    """No to the cutover, or a yes taken back."""

    approval_ticket: str = ""
    who: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=2000)


class Steer(Request):
    """Who says so, and why; for pause, resume, sync_now and retry."""

    who: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=2000)


class Retry(Steer):
    """Try again; or, where that is offered, go on with things as they are."""

    from_phase: Literal["", "initial-sync", "proof"] = Field(
        default="", description="initial-sync: compare every disk in full; proof: prove again what differed"
    )
    accept: bool = Field(default=False, description="as it is: a smoke test that did not pass")


class SetLimits(Request):
    """Bandwidth while it runs, from the next second on; what is left out stays as it is."""

    who: str = Field(default="", max_length=200)
    bandwidth: Bandwidth | None = None
    windows: Windows | None = Field(default=None, description="as in the request; an empty list: at any time")


class Rollback(Request):
    """Back to the source; what the target wrote since its start is lost, so that time must be named."""

    who: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=2000)
    lose_target_writes_since: str = Field(
        default="", description="the `started_at` that `ferry status` shows, once the target was started"
    )


class Ack(Contract):
    """The answer to an update."""

    accepted: bool = True
    phase: Phase
    message: str = ""
