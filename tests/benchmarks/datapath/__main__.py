"""`make bench`: the table of the data plane. ``-o json`` prints it as a list of objects; ``--path`` runs one of them.

Paired: in each round the same disk goes by hand and by Ferry, one after the other, on the same labs; the ratio is the
median of the rounds' ratios. The limit is what the run measures of one core in each round, added up per byte.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from contracts.config import load_config
from platforms.vsphere.source import VsphereSource
from tests.benchmarks import fleet
from tests.benchmarks.datapath import passes, reference
from tests.benchmarks.datapath.hand import by_hand
from tests.benchmarks.datapath.stage import Stage, stage

PATHS = {"nbd": "VMFS", "https": "VMFS", "nfc": "vsan", "nfs": "NFS"}
"""And on which datastore it is the one that is chosen."""
FLEET = "fleet"
"""Which moves no bytes: what it costs to move many."""
GOALS = {"nbd": (0.6, 0.9), "https": (0.25, 0.9), "nfc": (0.5, 0.9), "nfs": (0.5, 0.9)}


def main() -> int:
    """Ends 0; the goals are told beside what was reached, not judged here: the machine is noisy."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--path", choices=sorted([*PATHS, FLEET]), action="append")
    parser.add_argument("--results", type=Path, help="also write a page of Markdown there")
    parser.add_argument("--no-hand", action="store_true", help="only ours: for a look at the profile")
    said = parser.parse_args()
    measured: list[dict[str, float]] = []
    paths = said.path or [*PATHS, FLEET]
    rows = [_measured(path, measured, said.rounds, hand=not said.no_hand) for path in paths if path != FLEET]
    fleets = asyncio.run(fleet.bench(fleet.SIZES)) if FLEET in paths else []
    page = _page(rows, _median(measured), said.rounds) if rows else ""
    told = "\n".join([each for each in (page, fleet.table(fleets)) if each])
    print(json.dumps([*rows, *fleets], indent=2) if said.output == "json" else told)
    if said.results and rows:
        said.results.write_text("\n".join([page, *passes.told()]))
    return 0


def _measured(path: str, measured: list[dict[str, float]], rounds: int, *, hand: bool) -> dict[str, Any]:
    """One row. What a core can is measured anew in each round, beside what it is compared with, and added to a list."""
    with stage(PATHS[path], {"ref": [reference.CAPACITY]}) as labs:
        source = VsphereSource("vsphere", load_config(labs.source).sources["vsphere"])
        pool = labs.pool()
        ratios, ours, hands = [], [], []
        for number in range(rounds + 1):  # the first warms up and does not count
            mine = _ours(labs, path, number)
            assert mine["transport"] == path, mine
            theirs = by_hand(labs, path, "ref", source, pool) if hand else 0.0
            for vdi in mine["vdis"]:
                pool._api.call("VM.destroy", pool._api.call("VM.get_by_uuid", mine["vm"]))
                pool._api.call("VDI.destroy", pool._api.call("VDI.get_by_uuid", vdi))
            print(
                f"{path} round {number}: {mine['seconds']:.2f} s, by hand {theirs:.2f} s", file=sys.stderr, flush=True
            )
            if number:
                ours.append(mine)
                measured.append(_json_of("limits"))
                hands.append(theirs)
                ratios.append(mine["seconds"] / theirs if theirs else 0.0)
        pool.close()
        source.close()
    limit = 1 / sum(_needs(path, _median(measured[-rounds:])).values())
    return {
        "path": path,
        "time_by_hand": round(statistics.median(ratios), 3),
        "gb_per_cpu_second": round(statistics.median(each["bytes"] / each["cpu"] for each in ours) / 1e9, 3),
        "limit_gb_per_cpu_second": round(limit / 1e9, 3),
        "rss_mib": round(max(each["whole_rss_mib"] for each in ours), 1),
        "seconds": round(statistics.median(each["seconds"] for each in ours), 2),
        "seconds_by_hand": round(statistics.median(hands), 2),
        "bytes": ours[0]["bytes"],
    }


def _median(measured: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in measured) for name in measured[0]}


def _needs(path: str, limits: dict[str, float]) -> dict[str, float]:
    """CPU-seconds that one byte costs at least, by what they go to."""
    sending = {"TLS send": 1 / limits["tls_send"]}
    match path:
        case "https":
            return sending | {"TLS receive": 1 / limits["tls_receive"]}
        case "nfc":
            return sending | {
                "TLS receive": limits["packed_share"] / limits["tls_receive"], "inflate": 1 / limits["inflate"]
            }  # fmt: skip
        case "nfs":
            return sending | {"read": 1 / limits["file"]}
        case _:
            return sending | {"read": 1 / limits["unix"]}


def _ours(labs: Stage, path: str, number: int) -> dict[str, Any]:
    more = []
    if path == "nfs":
        more = ["--nfs", str(labs.source.parent / "vsphere" / "store1")]
    elif path == "nbd":
        more = ["--nbdkit", str(labs.nbdkit("ref"))]
    return _json_of(
        "ours", "--source", str(labs.source), "--target", str(labs.target), "--vm", "ref",
        "--store", str(labs.folder / f"store-{number}"), *more,
    )  # fmt: skip


def _json_of(module: str, *arguments: str) -> dict[str, Any]:
    told = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.datapath.{module}", *arguments],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


def _page(rows: list[dict[str, Any]], limits: dict[str, float], rounds: int) -> str:
    lines = [
        "# The data plane beside what a person does by hand",
        "",
        f"`make bench`, 2 cores, everything on loopback, TLS on, scratch of by hand on tmpfs; medians of {rounds}",
        "paired rounds. Reference disk: 4 GiB, about 45 % allocated, half compressible, half random. Digests included.",
        "",
        "| path | time ÷ by hand | goal | GB per CPU-second | of the limit | goal | MiB RSS | seconds | by hand |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        time_goal, limit_goal = GOALS[row["path"]]
        lines.append(
            f"| `{row['path']}` → XAPI | {row['time_by_hand']:.2f} | {time_goal} | {row['gb_per_cpu_second']:.2f} | "
            f"{row['gb_per_cpu_second'] / row['limit_gb_per_cpu_second']:.2f} | {limit_goal} | {row['rss_mib']:.0f} | "
            f"{row['seconds']:.2f} | {row['seconds_by_hand']:.2f} |"
        )
    lines += [
        "",
        "One core of this machine, GB per CPU-second, one thing at a time: "
        + ", ".join(f"{name} {value / 1e9:.2f}" for name, value in limits.items() if name != "packed_share")
        + f"; a stream-optimised VMDK has {limits['packed_share']:.2f} bytes a byte.",
        "",
        "## Where a CPU-second goes",
        "",
        "Seconds of a core per GB: what the limit is made of; then the digests, which are in no limit but in every",
        "copy (BLAKE3 of each block; of an export also SHA-1 of the stream, which is what a host's manifest tells);",
        "then all the rest: HTTP, segments, the journal, Python, and three processes that share two cores.",
        "",
        "| path | the limit | digests | the rest | in all | limit with digests ÷ in all |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        needs = {name: value * 1e9 for name, value in _needs(row["path"], limits).items()}
        told = " + ".join(f"{name} {value:.2f}" for name, value in needs.items())
        digests = 1e9 / limits["digest"]
        if row["path"] == "nfc":
            digests += 1e9 * limits["packed_share"] / limits["sha1"]
        least, whole = sum(needs.values()), 1 / row["gb_per_cpu_second"]
        lines.append(
            f"| `{row['path']}` | {told} | {digests:.2f} | {whole - least - digests:.2f} | {whole:.2f} "
            f"| {(least + digests) / whole:.2f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
