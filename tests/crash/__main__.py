"""``make crash ARGS="--runs N --seed S"``."""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from tests.crash.campaign import campaign, table


def main() -> int:
    """0 when all is as it must be."""
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, which is told")
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--results", type=Path, help="write the figures there, as Markdown")
    parser.add_argument("--folder", type=Path, help="keep labs and logs there")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    said = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing stays behind
    seed = said.seed if said.seed is not None else random.randrange(1 << 30)
    print(f"seed {seed}", file=sys.stderr, flush=True)
    made = asyncio.run(
        campaign(
            said.runs,
            seed,
            at_once=said.at_once,
            folder=said.folder,
            tell=lambda line: print(line, file=sys.stderr, flush=True),
        )
    )
    if said.output == "json":
        told = {
            "seed": seed,
            "hits": [{"phase": phase, "activity": name, "count": count} for (phase, name), count in made.hits.items()],
            "runs": [asdict(result) for result in made.results],
            "wrong": made.wrong,
        }
        print(json.dumps(told, indent=1))
    else:
        print(table(made))
    if said.results:
        runs = "\n".join(
            f"| {number} | {len(each.kills)} | {each.sent / 2**20:.1f} | {each.sent_again / 2**20:.1f} "
            f"| {each.allowed_again / 2**20:.1f} | {each.seconds:.0f} | {'; '.join(each.wrong) or 'none'} |"
            for number, each in enumerate(made.results, 1)
        )
        said.results.write_text(
            f'# Workers killed at random moments\n\n`make crash ARGS="--runs {said.runs} --seed {seed}"`, '
            f"{os.cpu_count()} cores, {said.at_once} runs at once.\n\n{table(made)}\n\n"
            "| run | kills | MiB sent | MiB sent again | MiB at most | seconds | wrong |\n"
            f"| ---: | ---: | ---: | ---: | ---: | ---: | --- |\n{runs}\n"
        )
    for each in made.wrong:
        print(f"WRONG  {each}", file=sys.stderr, flush=True)
    return 1 if made.wrong else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
