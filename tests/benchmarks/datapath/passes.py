"""Beside the table: a delta, a pass over a disk on which nothing changed, and four disks at once. Text on stdout.

``python -m tests.benchmarks.datapath.passes``; `make bench` runs it too when it writes a page.
"""

import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.datapath import reference
from tests.benchmarks.datapath.stage import stage
from tests.conformance.one_migration import one_migration

MIB, TIB = 1 << 20, 1 << 40
GRAIN = 64 << 10
HUGE_MIB = int(1.9 * TIB) // MIB
ROUNDS = 5


async def _deltas(folder: Path) -> list[str]:
    """On a sparse disk of 1.9 TiB: by how much a delta sends more than it must, and what a pass for nothing takes."""
    chance = random.Random(5)
    with one_migration(folder, size_mib=HUGE_MIB) as migration:
        for place in chance.sample(range(HUGE_MIB), 200):
            migration.guest.write(place * MIB, chance.randbytes(MIB))
        await migration.begin()
        await migration.sync()
        ratios, idle = [], []
        for _ in range(ROUNDS):
            touched = set()
            for place in chance.sample(range(HUGE_MIB), 100):
                start, length = place * MIB + 512 * chance.randrange(1024), 512 * chance.randrange(1, 400)
                migration.guest.write(start, chance.randbytes(length))
                touched |= set(range(start // GRAIN, -(-(start + length) // GRAIN)))
            copied = await migration.sync()
            ratios.append(copied.bytes_sent / (len(touched) * GRAIN))
            freeze = await migration.freeze()
            began = time.perf_counter()
            nothing = await migration.copy(freeze)
            idle.append(time.perf_counter() - began)
            assert nothing.bytes_sent == 0
            await migration.seal(freeze, complete=True)
    return [
        f"- A delta sends {statistics.median(ratios):.3f} × the changed extents aligned to 64 KiB (at most "
        f"{max(ratios):.3f} in {ROUNDS} rounds; goal 1.05): 100 writes on a disk of 1.9 TiB.",
        f"- A pass over that disk with nothing changed takes {statistics.median(idle):.2f} s between freeze and seal "
        f"(at most {max(idle):.2f}; goal 1).",
    ]


def _four() -> list[str]:
    """Four disks of a machine beside one, by `nfs`; as many bytes both times.

    With four times as many, what is measured is the lab: in tmpfs its system time for each byte doubles then.
    """
    whole = reference.CAPACITY
    with stage("NFS", {"one": [whole], "four": [whole // 4] * 4}) as labs:
        exported = str(labs.source.parent / "vsphere" / "store1")

        def run(vm: str, number: int) -> tuple[float, int, float, float]:
            told = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.datapath.ours", "--source", str(labs.source),
                 "--target", str(labs.target), "--store", str(labs.folder / f"store-{vm}-{number}"), "--vm", vm,
                 "--nfs", exported],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            found = json.loads(told.stdout.splitlines()[-1])
            pool = labs.pool()
            pool._api.call("VM.destroy", pool._api.call("VM.get_by_uuid", found["vm"]))
            for vdi in found["vdis"]:
                pool._api.call("VDI.destroy", pool._api.call("VDI.get_by_uuid", vdi))
            pool.close()
            spent = 1e9 * found["cpu"] / found["bytes"]
            return found["bytes"] / found["seconds"], found["whole_rss_mib"], found["busy"], spent

        run("one", 0)
        ones, fours = [], []
        for number in range(1, ROUNDS + 1):
            ones.append(run("one", number))
            fours.append(run("four", number))
    one, four = statistics.median(each[0] for each in ones), statistics.median(each[0] for each in fours)
    busy, lone_busy = (statistics.median(each[2] for each in runs) for runs in (fours, ones))
    spent, lone_spent = (statistics.median(each[3] for each in runs) for runs in (fours, ones))
    return [
        f"- Four disks of 1 GiB at once go at {four / 1e9:.2f} GB/s together, one of 4 GiB alone at {one / 1e9:.2f}: "
        f"{four / one:.2f} × (goal: no slower); both cores are {100 * busy:.0f} % busy meanwhile (goal 90), "
        f"{100 * lone_busy:.0f} with one disk; a GB costs the client {spent:.2f} s of a core, {lone_spent:.2f} with "
        f"one disk, and the lab has the rest; with {max(each[1] for each in fours):.0f} MiB RSS for the whole process."
    ]


def told() -> list[str]:
    """The lines, as Markdown."""
    with tempfile.TemporaryDirectory() as made:
        deltas = asyncio.run(_deltas(Path(made)))
    return ["## Passes", "", *deltas, *_four(), ""]


if __name__ == "__main__":
    print("\n".join(told()))
