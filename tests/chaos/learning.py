"""What each activity asks of each side, told by undisturbed runs: the table in :mod:`tests.chaos.reach`.

``python -m tests.chaos.learning [ROAD ...]``; with roads, only activities that the table lacks are added to it, so that
what a seed says stays what it was.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulators.lab import Lab
from starter.temporal_server import DevServer
from tests.chaos import one_run
from tests.chaos.grid import Cell, Orders
from tests.chaos.reach import REACH
from tests.chaos.roads import ROADS


async def learn(roads: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
    """By activity, side and call: how often at most."""
    reach: dict[str, dict[str, dict[str, int]]] = {}
    with tempfile.TemporaryDirectory(prefix="ferry-chaos-") as scratch, DevServer(Path(scratch) / "temporal") as server:
        streamed = ["straight"] if "straight" in roads else []
        for number, route in enumerate([*roads, *streamed]):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            nothing = Cell("", "vsphere", "")
            datastore = "vsan" if number == len(roads) else "NFS"
            said = Orders(0, nothing, route, 0, 0.0, 0, 0.0, "retry", 1, datastore, 0.0)
            noted = _Noting(reach)
            made, one_run._Run = one_run._Run, noted.run  # type: ignore[misc, assignment]
            try:
                result = await one_run.one_run(said, folder, server)
            finally:
                one_run._Run = made  # type: ignore[misc]
            print(route, result.outcome, result.wrong, f"{result.seconds:.1f} s", flush=True)
    return {name: reach[name] for name in sorted(reach)}


class _Noting:
    def __init__(self, reach: dict[str, dict[str, dict[str, int]]]) -> None:
        self._reach, self._at, self._base = reach, "", _one_run_class()

    def run(self, orders: Orders, lab: Lab, *more: Any) -> Any:
        run = self._base(orders, lab, *more)
        before: list[tuple[Counter[str], Counter[str]]] = []

        deeds = run._aim._begins

        async def begins(name: str, number: int) -> None:
            await deeds(name, number)
            before.append((_counted(lab.vsphere, lab.vsphere.stats), _counted(lab.xapi, lab.xapi.stats)))

        def ends(name: str) -> None:
            first = before.pop()
            for side, old, simulator in zip(("vsphere", "xapi"), first, (lab.vsphere, lab.xapi), strict=True):
                made = _counted(simulator, simulator.stats) - old
                known = self._reach.setdefault(name, {}).setdefault(side, {})
                for call, count in sorted(made.items()):
                    known[call] = max(count, known.get(call, 0))

        run._aim._begins, run._aim._ends = begins, ends
        return run


def _one_run_class() -> Any:
    return one_run._Run


def _counted(simulator: Any, stats: Any) -> Counter[str]:
    doors = {name: count for name, count in simulator.gate.requests.items() if not name.startswith("POST")}
    return Counter({**stats.calls, **doors})


def written(reach: dict[str, dict[str, dict[str, int]]]) -> str:
    """The module's text."""
    import pprint

    table = pprint.pformat(reach, width=114, compact=True)
    head = (Path(__file__).parent / "reach.py").read_text().partition("REACH")[0]
    return f"{head}REACH: dict[str, dict[str, dict[str, int]]] = {table}\n"


if __name__ == "__main__":
    import os
    import sys

    found = asyncio.run(learn(sys.argv[1:] or list(ROADS)))
    found = {**found, **REACH} if sys.argv[1:] else found
    (Path(__file__).parent / "reach.py").write_text(written({name: found[name] for name in sorted(found)}))
    sys.stdout.flush()
    os._exit(0)
