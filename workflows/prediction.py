"""How long the VM would be off if the cutover came now. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from contracts.migration import PassSummary

SHUTDOWN = 20.0
"""Seconds for a guest to shut down: Linux takes 5 to 20; Windows with updates takes what it takes."""
START = 10.0
"""Seconds for marks, snapshot and start on the pool."""


@dataclass(frozen=True)
class Prediction:
    """``proof_first``: the target is read back before it is started, since the budget allows it."""

    downtime: timedelta
    proof_first: bool


def predict(passes: tuple[PassSummary, ...], allocated: int, budget: timedelta) -> Prediction:
    """From what the passes took so far: the final delta is like the last one, the read-back like the first pass.

    Args:
        allocated: bytes of all disks that hold data.
    """
    whole = [each for each in passes if each.complete]
    last = whole[-1].seconds if whole else 0.0
    rate = max((each.bytes_sent / each.seconds for each in whole if each.seconds > 0), default=0.0)
    base = SHUTDOWN + START + last
    proof = allocated / rate if rate > 0 else 0.0
    proof_first = base + proof <= budget.total_seconds()
    return Prediction(timedelta(seconds=base + (proof if proof_first else 0.0)), proof_first)
