"""The request that starts a migration: three words are enough."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.after import Smoke
from contracts.approved_steps import ApprovedStep
from contracts.bandwidth import Bandwidth
from contracts.base import Request
from contracts.durations import Duration
from contracts.sites import Site
from contracts.sizes import Size
from contracts.windows import Windows

Reason = Annotated[str, Field(min_length=1, max_length=2000)]


class Adopted(Request):
    """An ended migration, as its report tells of it: its VDIs and its place in the store are gone on with."""

    migration: str = Field(min_length=1)
    store_id: str = Field(min_length=1)
    epoch: int = Field(ge=0)
    pass_no: int = Field(ge=0)


class MigrateVmRequest(Request):
    """Move one VM. Three words are enough: ``{"source":"vc","vm":"web01","target":"pool"}``."""

    source: str = Field(min_length=1, description="name of [sources.NAME] in the worker's ferry.toml")
    vm: str = Field(min_length=1, description="name, instanceUuid or moref")
    target: str = Field(min_length=1, description="name of [targets.NAME]")
    site: Site = Field(default="", description="workers of that site do it; default: those that name none")
    sr: str | None = Field(default=None, description="name or uuid; default: the target's configured SR")
    networks: dict[str, str] = Field(default={}, description="source network to target network")
    template: str | None = Field(default=None, description="of the pool, by name or uuid; default: by the guest OS")
    overrides: dict[str, Reason] = Field(
        default={}, description="code of a preflight check to the reason why it shall not block"
    )
    vmware_tools: Literal["leave", "remove-before", "remove-after"] = Field(
        default="leave", description="what you do about VMware Tools; the preflight says what it takes"
    )
    approved_steps: dict[ApprovedStep, Reason] = Field(
        default={}, description="what Ferry may do on the source beforehand, and why: remove-snapshots, eject-iso"
    )
    approval: Literal["manual", "auto"] = "manual"
    delta_interval: Duration = timedelta(minutes=15)
    downtime_budget: Duration = timedelta(minutes=5)
    max_passes: int = Field(default=10, ge=1, le=10_000)
    segment_bytes: Size = Field(default=8 << 30, ge=1 << 20, description="bytes of data per PUT")
    power_off: Literal["guest-then-ask", "guest-then-hard", "hard"] = "guest-then-ask"
    power_off_patience: Duration = timedelta(minutes=10)
    power_off_deadline: Duration = Field(default=timedelta(minutes=2), description="for a hard power-off to be seen")
    start_target: bool | None = Field(default=None, description="default: as the source was when it began")
    bandwidth: Bandwidth = Field(default="", description='bytes a second: "50M", "off", "08:00,50M 19:00,off"')
    windows: Windows = Field(default=(), description="when a cutover may be; none: always")
    quorum: int = Field(default=1, ge=1, le=20, description="distinct people whose yes it takes")
    approval_expires: Duration | None = Field(default=None, description="so long a yes counts; default: for ever")
    max_downtime: Duration | None = Field(default=None, description="no cutover whose predicted downtime is longer")
    smoke: Smoke | None = Field(default=None, description="what the started target must show; else it is told only")
    fleet: str = Field(default="", max_length=120, description="workflow id of the fleet that is told where it is")
    adopt: Adopted | None = Field(
        default=None,
        description="an ended migration whose copied data is gone on with: `ferry retry VM --from` fills it in",
    )
    test_copy: bool = Field(
        default=False, description="a copy of one moment, without cards, started on request only; nothing is stopped"
    )
    probation: Duration = Field(
        default=timedelta(0), le=timedelta(days=365), description="days in which a rollback is still possible"
    )
    retire: Literal["rename", "none"] | None = Field(
        default=None, description="what becomes of the source in the end; default: rename, after a probation"
    )

    @model_validator(mode="after")
    def _a_rule_is_nobody(self) -> Self:
        if self.approval == "auto" and self.quorum > 1:
            raise ValueError("approval: auto asks nobody, so there can be no quorum: leave one of them out")
        return self

    @model_validator(mode="after")
    def _what_is_not_started_shows_nothing(self) -> Self:
        if self.smoke is not None and self.start_target is False:
            raise ValueError("smoke looks at a target that runs, and start_target says no: leave one of them out")
        return self

    @model_validator(mode="after")
    def _nothing_comes_after_a_test_copy(self) -> Self:
        if self.test_copy and (self.probation or self.retire == "rename" or self.smoke is not None):
            raise ValueError("test_copy stops no source: it has no probation, smoke test or retirement")
        return self
