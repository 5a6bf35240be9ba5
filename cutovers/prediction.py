"""How long the VM would be off if the cutover came now. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from contracts.migration import PassSummary
from contracts.steps import ProofPart

SHUTDOWN = 20.0
"""Seconds for a guest to shut down: Linux takes 5 to 20; Windows with updates takes what it takes."""
START = 10.0
"""Seconds for marks, snapshot and start on the pool."""
UNKNOWN_RATE = 100 << 20
"""Bytes a second where no pass has sent anything yet."""


@dataclass(frozen=True)
class Prediction:
    """``proof``: what of the target is read back before it is started, since the budget allows no more; None: nothing,
    it is read back after the start. ``proving``: that part of the downtime."""

    downtime: timedelta
    proof: ProofPart | None
    proving: timedelta = timedelta(0)


def predict(
    passes: tuple[PassSummary, ...],
    allocated: int,
    budget: timedelta,
    *,
    read_back: bool = False,
    difference: bool = False,
    raw: int = 0,
) -> Prediction:
    """From what the passes took so far: the final delta is like the last one, the read-back like the first pass.

    Args:
        allocated: bytes of all disks that hold data.
        read_back: all disks were read back whole while the source ran, so that only what was sent since is due.
        difference: and that is told by the difference to what was read then, in whole blocks of a VHD.
        raw: bytes of the disks that are too large for a VHD: they are read back with all their holes.
    """
    whole = [each for each in passes if each.complete]
    last = whole[-1].seconds if whole else 0.0
    rate = max((each.bytes_sent / each.seconds for each in whole if each.seconds > 0), default=0.0)
    base = SHUTDOWN + START + last
    proof = allocated / rate if rate > 0 else 0.0
    if raw:
        proof += raw / (rate or UNKNOWN_RATE)
    if base + proof <= budget.total_seconds():
        return Prediction(timedelta(seconds=base + proof), "whole", timedelta(seconds=proof))
    # Whatever came since the whole disk was read back is like two of the last pass, the final one among them.
    since = last
    if difference:
        since = min(proof, _rewritten(whole) / rate) if rate > 0 else 0.0
    if read_back and base + since <= budget.total_seconds():
        return Prediction(timedelta(seconds=base + since), "since", timedelta(seconds=since))
    return Prediction(timedelta(seconds=base), None)


def asks_now(
    prediction: Prediction, passes: tuple[PassSummary, ...], budget: timedelta, most: int, *, warm: bool
) -> bool:
    """Whether it is time to ask for the cutover: its downtime fits after a delta pass, or further passes bring it no
    nearer.

    Args:
        most: passes, after which it is asked for all the same.
        warm: deltas can be had, of a machine that runs.
    """
    deltas = [each for each in passes if each.kind != "initial"]
    return len(passes) >= most or not warm or (prediction.downtime <= budget and bool(deltas))


def after_the_start(prediction: Prediction) -> Prediction:
    """The same, with nothing read back within the downtime."""
    return Prediction(prediction.downtime - prediction.proving, None)


def _rewritten(passes: list[PassSummary]) -> int:
    """Bytes of a difference after a final pass that rewrites as many further blocks as the last one did."""
    now = passes[-1].rewritten if passes else 0
    before = passes[-2].rewritten if len(passes) > 1 else 0
    return now + max(now - before, passes[-1].bytes_sent if passes else 0)
