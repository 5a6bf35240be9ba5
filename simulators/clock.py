"""The lab's clocks: leases, sessions, consolidation and task clean-up run `speed` times faster."""

import time
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds of lab time. With ``speed=60`` a 30-minute session time-out takes 30 real seconds."""

    speed: float = 1.0
    started: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """Lab seconds since the lab started."""
        return (time.monotonic() - self.started) * self.speed

    def sleep(self, lab_seconds: float) -> None:
        """Block for that much lab time."""
        time.sleep(lab_seconds / self.speed)
