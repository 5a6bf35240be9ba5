"""Where the kills of a campaign go: every activity's turn comes, at moments that the seed decides. Pure."""

import random
from dataclasses import dataclass, field

from workflows.timing import TIMINGS

OF_NO_MIGRATION = {"inspect", "find_machines", "assess_machines", "find_snapshot", "read_record", "find_leftovers",
                   "remove_leftover", "see_holders"}  # fmt: skip
ONLY_WHEN_ASKED_FOR = {"prove_by_checksum", "next_window", "take_approved_step", "source_goes_off", "undiverge_target",
                       "make_test", "start_test", "drop_test", "reboot_target", "move_disks", "see_source_off",
                       "retire_source", "remove_source", "ask_for_permits"}  # fmt: skip
"""Of requests that ask for more than this campaign's, and of mishaps that it does not play: tests/chaos kills workers
in them."""
ACTIVITIES = tuple(sorted(set(TIMINGS) - OF_NO_MIGRATION - ONLY_WHEN_ASKED_FOR))
"""All that each migration is made of, on its way there and back."""
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
