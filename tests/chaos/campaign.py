"""Many runs in a few lanes, each a process; what they add up to; and which of them are done already."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.grid import cells, orders
from tests.end_to_end.running import ROOT

Line = dict[str, Any]
LIMIT = 420.0
"""Seconds, after which a lane that says nothing is ended, and its run with it."""
SHIPPED = (
    "activities",
    "checks",
    "contracts",
    "disks",
    "platforms",
    "workflows",
    "worker.py",
    "simulators",
    "tests/chaos",
)


@dataclass
class Campaign:
    """The runs that were asked for, by seed."""

    seeds: Sequence[int]
    lines: dict[int, Line] = field(default_factory=dict)

    def counted(self, verdict: str) -> int:
        """How many ended so."""
        return sum(1 for each in self.lines.values() if each["verdict"] == verdict)

    @property
    def violations(self) -> list[Line]:
        """All that is not as it must be."""
        return [each for _, each in sorted(self.lines.items()) if each["verdict"] == "violation"]

    @property
    def met(self) -> int:
        """How many cells of the grid were truly hit by their fault."""
        return len({_cell(each) for each in self.lines.values() if each["struck"]} & {_key(each) for each in cells()})

    def told(self) -> dict[str, Any]:
        """The object that ``-o json`` ends with."""
        return {
            "runs": len(self.lines),
            "done_equal": self.counted("done_equal"),
            "safe_failed": self.counted("safe_failed"),
            "violations": len(self.violations),
            "cells_hit": self.met,
            "cells": len(cells()),
            "wrong": [{"seed": each["seed"], "cell": ": ".join(_cell(each)), "wrong": each["wrong"],
                       "again": f'make chaos ARGS="--only {each["seed"]}"'} for each in self.violations],
        }  # fmt: skip


def _cell(line: Line) -> tuple[str, str, str]:
    return line["side"], line["fault"], line["activity"]


def _key(cell: Any) -> tuple[str, str, str]:
    return cell.side, cell.fault, cell.activity


def code_version() -> str:
    """Of all that the runs run on: tree hashes by git, and whether files differ from them."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = "+changed" if git("status", "--porcelain", "--", *SHIPPED) else ""
    trees = git("rev-parse", *(f"HEAD:{each}" for each in SHIPPED))
    import hashlib

    return hashlib.sha256(trees.encode()).hexdigest()[:10] + changed


def _stands(line: Line, code: str) -> bool:
    """Whether a run need not be made again: what was wrong, or met nobody, may be mended since."""
    return line["code_version"] == code or (line["verdict"] != "violation" and bool(line["struck"]))


def known(file: Path) -> dict[int, Line]:
    """The last line of each seed."""
    lines = [json.loads(each) for each in file.read_text().splitlines()] if file.exists() else []
    return {line["seed"]: line for line in lines}


async def campaign(
    seeds: Sequence[int], *, at_once: int = 2, keep: Path | None = None, folder: Path | None = None,
    tell: Callable[[str], None] = lambda _: None, seconds: float | None = None,
) -> Campaign:  # fmt: skip
    """Play those that are not in the file ``keep``, or were a violation on other code; each is added to it.

    Args:
        folder: what runs that went wrong leave is kept there.
        seconds: begin none after that time; the rest is for the next time.
    """
    code, made = code_version(), Campaign(seeds)
    if keep is not None:
        made.lines = {seed: line for seed, line in known(keep).items() if seed in seeds and _stands(line, code)}
    left = [seed for seed in seeds if seed not in made.lines]
    tell(f"code {code}: {len(made.lines)} runs are known, {len(left)} are to be made")
    deadline = asyncio.get_running_loop().time() + seconds if seconds is not None else None
    with contextlib.ExitStack() as cleared:
        scratch = folder or Path(cleared.enter_context(tempfile.TemporaryDirectory(prefix="ferry-chaos-")))

        async def lane(number: int) -> None:
            running: _Lane | None = None
            try:
                while left and (deadline is None or asyncio.get_running_loop().time() < deadline):
                    seed = left.pop(0)
                    running = running or await _Lane.begin(scratch / f"lane-{number}-{seed}", code)
                    line = await running.play(seed)
                    if line is None:
                        line = _died(seed, code, running.end_of_log())
                        await running.end()
                        running = None
                    made.lines[seed] = line
                    if keep is not None:
                        with keep.open("a") as file:
                            file.write(json.dumps(line) + "\n")
                    tell(f"{len(made.lines)}/{len(seeds)} {told(line)}")
            finally:
                if running is not None:
                    await running.end()

        await asyncio.gather(*(lane(number) for number in range(min(at_once, max(1, len(left))))))
    return made


def told(line: Line) -> str:
    """One run in one line."""
    asked = f" asked {','.join(dict.fromkeys(line['asked']))}" if line["asked"] else ""
    met = "" if line["struck"] else " (never met)"
    wrong = f" WRONG: {'; '.join(line['wrong'])}" if line["wrong"] else ""
    return (
        f"seed {line['seed']}: {': '.join(_cell(line))}{met}: {line['outcome'] or 'no end'} {line['code']}"
        f"{asked}, {line['seconds']:.0f} s{wrong}"
    )


def _died(seed: int, code: str, log: str) -> Line:
    said = orders(seed)
    return {
        "seed": seed, "activity": said.cell.activity, "side": said.cell.side, "fault": said.cell.fault,
        "route": said.route, "struck": 0, "outcome": "", "code": "", "asked": [], "said": [],
        "wrong": [f"the lane died or hung: {log}"], "seconds": 0.0, "verdict": "violation", "code_version": code,
    }  # fmt: skip


class _Lane:
    """A process that plays runs."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self._folder, self._process = folder, process

    @classmethod
    async def begin(cls, folder: Path, code: str) -> "_Lane":
        folder.mkdir(parents=True)
        with (folder / "lane.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.chaos.lane", str(folder), code, cwd=ROOT, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, start_new_session=True, limit=1 << 20,
            )  # fmt: skip
        made = cls(folder, process)
        try:
            answer = await made._line()
        except asyncio.CancelledError:
            await made.end()
            raise
        if answer is None:
            raise AssertionError(f"a lane did not begin:\n{made.end_of_log()}")
        return made

    async def play(self, seed: int) -> Line | None:
        """None when it died or hung."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(f"{seed}\n".encode())
            await self._process.stdin.drain()
        return await self._line()

    async def _line(self) -> Line | None:
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), LIMIT)
        except TimeoutError:
            return None
        return json.loads(line) if line else None

    def end_of_log(self) -> str:
        return (self._folder / "lane.log").read_text()[-1500:]

    async def end(self) -> None:
        """Its server and its workers end with it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        await asyncio.sleep(0.1)  # its pipes are closed by the loop
