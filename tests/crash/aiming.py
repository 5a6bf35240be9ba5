"""Where the kills of a campaign go: every activity's turn comes, at moments that the seed decides. Pure."""

import random
from dataclasses import dataclass, field

from workflows.timing import TIMINGS

ACTIVITIES = tuple(sorted(set(TIMINGS) - {"inspect", "find_snapshot", "prove_by_checksum"}))
"""All that a migration is made of; `inspect` only looks, for a person, `find_snapshot` is of `ferry verify`, and
`prove_by_checksum` of pools that serve no export (tests/end_to_end/test_proofs.py kills a worker in it)."""
REPEATED = {"freeze": 3, "copy_disk": 5, "seal": 3, "preflight": 1}
"""Of these a run has more than one: so many may be let pass."""
TYPICAL = {"copy_disk": 4.0, "prove_target": 0.4, "prove_source": 1.0, "power_off_source": 1.0, "freeze": 0.4}
"""Seconds; the kill falls somewhere within, or when the work is done. 0.1 for all others."""


@dataclass(frozen=True)
class Aim:
    """A kill to come; ``within`` seconds after the activity began."""

    activity: str
    skip: int
    within: float


@dataclass(frozen=True)
class Orders:
    """What one run has to suffer. ``blind``: seconds after the first worker's start, whatever it does then."""

    seed: int
    aims: tuple[Aim, ...] = field(default=())
    blind: float = 0.0


def deal(runs: int, seed: int) -> list[Orders]:
    """Every activity at least once among all runs, each in a random one; a random moment besides in every run."""
    chance = random.Random(seed)
    names = list(ACTIVITIES)
    chance.shuffle(names)
    hands: list[list[str]] = [[] for _ in range(runs)]
    # Many runs take more than their share of the activities: at least five kills each.
    for number in range(max(len(names), 5 * runs)):
        hands[number % runs].append(names[number % len(names)])
    return [
        Orders(
            seed=chance.randrange(1 << 30),
            aims=(
                *(
                    Aim(name, chance.randint(0, REPEATED.get(name, 0)), chance.uniform(0, TYPICAL.get(name, 0.1)))
                    for name in hand
                ),
                Aim("copy_disk", 0, chance.uniform(0.1, TYPICAL["copy_disk"])),  # in the midst of the initial sync
            ),
            blind=chance.uniform(3.0, 20.0),
        )
        for hand in hands
    ]
