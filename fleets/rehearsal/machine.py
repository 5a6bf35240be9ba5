"""One migration on paper: its passes, what is predicted of it, and what holds its cutover."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.migration import Decision, MigrationState, PassSummary
from contracts.names import Phase
from contracts.request import MigrateVmRequest
from contracts.windows import Opening, next_window
from cutovers.holding import Hold, hold
from cutovers.prediction import Prediction, asks_now, predict
from fleets.rehearsal.given import Holds, Rates

MOST_PASSES_KEPT = 30


class Calendar:
    """The next window of each set of windows; thousands of machines share a few."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Opening | None] = {}

    def next(self, windows: tuple[str, ...], now: datetime) -> Opening | None:
        """That is open, or opens next."""
        known = self._known.get(windows)
        if windows not in self._known or (known is not None and now >= known.closes):
            known = self._known[windows] = next_window(windows, now)
        return known


@dataclass
class Machine:
    """What the workflow of one migration would know.

    Attributes:
        frozen_at: seconds, when its last pass began.
        yes: it was approved.
        off_at: seconds, when its cutover powered it off.
        downtime: seconds that it was off.
        missed: openings that went by, though it was approved.
        stuck: what keeps it from ever being cut over.
    """

    vm: str
    request: MigrateVmRequest
    holds: Holds
    phase: Phase = Phase.PREFLIGHT
    passes: tuple[PassSummary, ...] = ()
    began_at: float = 0.0
    frozen_at: float = 0.0
    through_at: float | None = None
    yes: bool = False
    off_at: float = 0.0
    downtime: float = 0.0
    missed: set[datetime] = field(default_factory=set)
    stuck: str = ""
    final: Prediction | None = None

    def passed(self, size: float, seconds: float) -> None:
        """A pass has ended."""
        kind = "delta" if self.passes else "initial"
        done = PassSummary(pass_no=len(self.passes) + 1, kind=kind, bytes_sent=int(size), seconds=seconds)
        self.passes = (*self.passes, done)[-MOST_PASSES_KEPT:]

    def waited(self, now: float, rates: Rates, share: float) -> None:
        """Since its last pass it was waited for, with a pass every interval: the last of them is what counts."""
        interval = self.request.delta_interval.total_seconds()
        since = now - self.frozen_at
        if not self.holds.warm or since < interval or self.phase is not Phase.AWAITING_APPROVAL:
            return
        size = min(self.holds.allocated, rates.changes * interval)
        seconds = rates.beside + size / share
        self.frozen_at = now - since % (interval + seconds)
        if self.passes and self.passes[-1].seconds != seconds:
            self.passed(size, seconds)

    def changed(self, now: float, rates: Rates) -> float:
        """Bytes that the next pass sends."""
        if not self.holds.warm:
            return self.holds.allocated
        return min(self.holds.allocated, rates.changes * (now - self.frozen_at))

    def predicted(self) -> Prediction:
        """As the workflow predicts it."""
        budget, most = self.request.downtime_budget, self.request.max_downtime
        return predict(self.passes, self.holds.allocated, budget if most is None else min(most, budget))

    def asks(self) -> bool:
        """Whether its passes are enough."""
        request = self.request
        return asks_now(
            self.predicted(), self.passes, request.downtime_budget, request.max_passes, warm=self.holds.warm
        )

    def held(self, now: datetime, calendar: Calendar) -> Hold | None:
        """As the workflow is held."""
        windows = self.request.windows
        window = calendar.next(windows, now) if windows else None
        state = MigrationState(
            predicted_downtime_s=self.predicted().downtime.total_seconds(),
            window=window,
            no_window_left=bool(windows) and window is None,
            approved=Decision(decision="approved", who="-", at=now, approval_ticket="-", phase=self.phase),
        )
        return hold(state, self.request, now)

    def closes_at(self, now: datetime, calendar: Calendar) -> datetime | None:
        """When the window closes in which its cutover is under way."""
        window = calendar.next(self.request.windows, now) if self.request.windows else None
        return window.closes if window is not None and window.opens <= now else None

    @property
    def probation(self) -> timedelta:
        """How long it is watched."""
        return self.request.probation or timedelta(0)
