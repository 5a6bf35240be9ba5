"""The page of a campaign: totals, what each fault and each activity met, and every violation with its command."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.chaos.campaign import Campaign, Line, told
from tests.chaos.grid import FAULTS, cells

VERDICTS = ("done_equal", "safe_failed", "violation")


def page(made: Campaign, lines_in: str, earlier: Sequence[Line] = ()) -> str:
    """Markdown. ``earlier``: runs that were wrong on other code, or by the judge of that time."""
    lines = list(made.lines.values())
    first, count = min(made.seeds), len(made.seeds)
    versions = Counter(each["code_version"] for each in lines)
    hit = {(each["side"], each["fault"], each["activity"]) for each in lines if each["struck"]}
    asked = Counter(code for each in lines for code in dict.fromkeys(each["asked"]))
    codes = Counter(each["code"] for each in lines if each["code"])
    all_cells = [(each.side, each.fault, each.activity) for each in cells()]
    missed = [each for each in all_cells if each not in hit]
    return "\n".join(
        [
            "# Every fault at every activity",
            "",
            f'`make chaos ARGS="--runs {count} --seed {first} --results {lines_in}"`, {os.cpu_count()} cores. A run is '
            "a migration of one or two disks of 16 MiB by the real worker and the real Temporal server, between both "
            "simulators, with one fault aimed at one activity. It takes the road on which that activity lies: "
            "straight, undone, rolled back, with windows, approved steps, a late shutdown, a test boot, a probation; "
            "or what is asked for when it is done, the removal of the source or a move of the disks. "
            "A cell of the grid is an activity and a fault of an API "
            "that it calls (or a SIGKILL of worker or server); it counts as hit when the fault met a call, not when it "
            "was planned. The judge reads the lab's disks, power logs and records, not Ferry's reports; the power logs "
            "hold every change, so two machines on at once are seen at any instant. The lines beside this page "
            "(`.jsonl`) tell each run; the same command goes on where they end, with `--minutes 9` in pieces.",
            "",
            f"**{len(lines)} runs: {made.counted('done_equal')} ended done with equal disks, "
            f"{made.counted('safe_failed')} ended without, the source running as before and a code told, "
            f"{len(made.violations)} violations.** {made.met} of {len(all_cells)} cells were hit.",
            "",
            "Code (a digest of what ships, the simulators and the campaign): "
            + ", ".join(f"`{code}` ({number} runs)" for code, number in versions.most_common()),
            "",
            "## By fault",
            "",
            *_table([(f"{side}: {fault}", [each for each in lines if (each["side"], each["fault"]) == (side, fault)],
                      [each for each in all_cells if each[:2] == (side, fault)]) for side, fault in FAULTS], hit),
            "",
            "## By activity",
            "",
            *_table([(f"`{name}`", [each for each in lines if each["activity"] == name],
                      [each for each in all_cells if each[2] == name])
                     for name in sorted({each[2] for each in all_cells})], hit),
            "",
            "## What a human was asked",
            "",
            "They mend the cause and say retry, or cancel, as the seed tells.",
            "",
            *(f"- `{code}`: in {number} runs" for code, number in asked.most_common()),
            "",
            "## The codes of what did not end well",
            "",
            *(f"- `{code}`: {number}" for code, number in codes.most_common()),
            "",
            "## Cells that were not hit",
            "",
            *([f"- {': '.join(each)}" for each in missed] or ["None."]),
            "",
            "## Violations",
            "",
            *([f'- `make chaos ARGS="--only {each["seed"]}"`: {told(each)}' for each in made.violations] or ["None."]),
            "",
            "## What was wrong on earlier code, or to an earlier judge, and is not now",
            "",
            *([f"- `{each['code_version']}` {told(each)}" for each in earlier] or ["Nothing."]),
            "",
        ]
    )  # fmt: skip


def _table(rows: Sequence[tuple[str, list[Line], list[Any]]], hit: set[tuple[str, str, str]]) -> list[str]:
    made = ["| | runs | done, equal | safe | violations | cells hit |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for name, lines, wanted in rows:
        counts = [sum(1 for each in lines if each["verdict"] == verdict) for verdict in VERDICTS]
        told_counts = " | ".join(str(each or "") for each in counts)
        made.append(f"| {name} | {len(lines)} | {told_counts} | {len(set(wanted) & hit)} of {len(wanted)} |")
    return made
