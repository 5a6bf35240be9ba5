"""Many inputs through one reader: what it took, what it refused, the slowest of them, and the memory it needed."""

import random
import resource
import time
from dataclasses import dataclass, field

from tests.fuzz.mutating import mutated
from tests.fuzz.readers import READERS, Reader

SLOW = 5.0
"""Seconds of one input that count as a hang: they take a millisecond or two, and this machine may pause."""


@dataclass
class Outcome:
    """``findings``: the seed of an input and what went wrong with it."""

    name: str
    inputs: int = 0
    taken: int = 0
    slowest: float = 0.0
    grown_mib: float = 0.0
    seconds: float = 0.0
    findings: list[tuple[int, str]] = field(default_factory=list)


def fuzz(reader: Reader, inputs: int, seed: int) -> Outcome:
    """Run them in this process, whose high-water mark of memory tells what they needed."""
    outcome, goods = Outcome(reader.name), reader.good()
    for good in goods:
        assert reader.read(good), f"{reader.name}: the good input is refused, so its mutations would prove nothing"
    before, began = _peak(), time.monotonic()
    for number in range(seed, seed + inputs):
        data = mutated(goods[number % len(goods)], random.Random(number))
        if number % 2:
            data = reader.mend(data)
        started = time.monotonic()
        try:
            outcome.taken += reader.read(data)
        except Exception as error:  # what a reader does not foresee is what is looked for
            outcome.findings.append((number, f"{type(error).__name__}: {error}"))
        took = time.monotonic() - started
        outcome.slowest = max(outcome.slowest, took)
        if took > SLOW:
            outcome.findings.append((number, f"it took {took:.1f} s"))
        outcome.inputs += 1
    outcome.grown_mib = (_peak() - before) / 1024
    outcome.seconds = time.monotonic() - began
    return outcome


def fuzz_one(number: int, inputs: int, seed: int) -> Outcome:
    """The reader of that number, for a process of its own."""
    return fuzz(READERS[number], inputs, seed)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
