"""``make chaos ARGS="--runs N --seed S"``: the runs of the seeds S to S+N-1; ``--only SEED`` plays one again."""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from tests.chaos.campaign import Campaign, campaign
from tests.chaos.results import page


def main() -> int:
    """0 when all is as it must be."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="SEED", help="this one run, whatever is known of it")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--results", type=Path, metavar="PAGE.md",
                        help="write the page there, and a line for each run beside it (.jsonl): what is there is not "
                        "played again, but for violations on other code; remove it to begin anew")  # fmt: skip
    parser.add_argument("--minutes", type=float, help="begin no run after that; the next call goes on")
    parser.add_argument("--folder", type=Path, help="keep what runs that went wrong leave there")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    said = parser.parse_args()
    seeds = [said.only] if said.only is not None else range(said.seed, said.seed + said.runs)
    keep = said.results.with_suffix(".jsonl") if said.results and said.only is None else None

    async def play() -> Campaign:
        playing = asyncio.current_task()
        assert playing is not None
        for each in (signal.SIGTERM, signal.SIGINT):  # so that nothing stays behind
            asyncio.get_running_loop().add_signal_handler(each, playing.cancel)
        return await campaign(
            seeds,
            at_once=said.at_once,
            keep=keep,
            folder=said.folder,
            tell=lambda line: print(line, file=sys.stderr, flush=True),
            seconds=said.minutes * 60 if said.minutes is not None else None,
        )

    try:
        made = asyncio.run(play())
    except asyncio.CancelledError:
        return 130
    told = made.told()
    if keep is not None:
        wrong = [json.loads(line) for line in keep.read_text().splitlines()] if keep.exists() else []
        earlier = [line for line in wrong if line["verdict"] == "violation" and line not in made.violations]
        said.results.write_text(page(made, str(said.results), earlier))
    if said.output == "json":
        print(json.dumps(told, indent=1))
    else:
        print(
            f"{told['runs']} runs: {told['done_equal']} done with equal disks, {told['safe_failed']} failed safely, "
            f"{told['violations']} violations; {told['cells_hit']} of {told['cells']} cells hit"
        )
    for each in made.violations:
        print(f"WRONG  seed {each['seed']}: {'; '.join(each['wrong'])}", file=sys.stderr, flush=True)
    return 1 if made.violations else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
