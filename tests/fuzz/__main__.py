"""`python -m tests.fuzz`: inputs that are almost right, through every reader of untrusted bytes; 1 at a finding."""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.fuzz.readers import READERS
from tests.fuzz.running import Outcome, fuzz_one


def run(inputs: int, seed: int) -> list[Outcome]:
    """All readers, each in a process of its own, two at a time."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        return list(
            pool.map(fuzz_one, range(len(READERS)), [inputs // len(READERS)] * len(READERS), [seed] * len(READERS))
        )


def page(outcomes: list[Outcome], seed: int) -> str:
    """What was found, as Markdown."""
    inputs = sum(each.inputs for each in outcomes)
    lines = [
        "# Readers of untrusted bytes, fuzzed",
        "",
        f"`python -m tests.fuzz --inputs {inputs} --seed {seed}`: good inputs with a few bytes changed, moved,",
        "doubled or cut off. A reader takes an input or refuses it in its own words; all else, or more than 5 s,",
        "is a finding.",
        "",
        "| reader | inputs | taken | refused | findings | slowest, ms | memory grown, MiB | seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {each.name} | {each.inputs} | {each.taken} | {each.inputs - each.taken - len(each.findings)} "
        f"| {len(each.findings)} | {1000 * each.slowest:.0f} | {each.grown_mib:.1f} | {each.seconds:.0f} |"
        for each in outcomes
    ]
    for each in outcomes:
        lines += ["", *(f"- {each.name}, input {number}: {what}" for number, what in each.findings[:10])]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, help="also write a page of Markdown there")
    said = parser.parse_args()
    outcomes = run(said.inputs, said.seed)
    told = page(outcomes, said.seed)
    print(told)
    if said.results:
        said.results.write_text(told)
    return 1 if any(each.findings for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
