"""Several runs, some at once, each with a lab, a namespace and a worker of its own; and what they add up to."""

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from starter.temporal_server import DevServer
from tests.crash.aiming import ACTIVITIES, deal
from tests.crash.one_run import SEGMENT, Result, one_run
from tests.support import register_namespace


@dataclass
class Campaign:
    """All results."""

    seed: int
    results: list[Result] = field(default_factory=list)

    @property
    def hits(self) -> Counter[tuple[str, str]]:
        """How often (phase, activity) was hit; no activity in hand is told as such."""
        return Counter(
            (kill.phase, activity)
            for result in self.results
            for kill in result.kills
            for activity in (kill.hit or ("(nothing in hand)",))
        )

    @property
    def never_hit(self) -> list[str]:
        """Activities that no kill met: then the campaign has shown too little."""
        hit = {activity for _, activity in self.hits}
        return [name for name in ACTIVITIES if name not in hit]

    @property
    def wrong(self) -> list[str]:
        """All that is not as it must be."""
        told = [f"run {number}: {each}" for number, result in enumerate(self.results, 1) for each in result.wrong]
        return told + [f"{name} was never hit" for name in self.never_hit]


async def campaign(
    runs: int, seed: int, *, at_once: int = 3, folder: Path | None = None, tell: Callable[[str], None] = lambda _: None
) -> Campaign:
    """Play them all."""
    made = Campaign(seed)
    turns = asyncio.Semaphore(at_once)
    with contextlib.ExitStack() as cleared:
        scratch = folder or cleared.enter_context(tempfile.TemporaryDirectory(prefix="ferry-crash-"))
        with DevServer(Path(scratch) / "temporal") as server:

            async def play(number: int, orders: object) -> Result:
                async with turns:
                    home = Path(scratch) / f"run-{number}"
                    home.mkdir(parents=True)
                    namespace = f"crash-{number}"
                    await register_namespace(server.address, namespace)
                    try:
                        result = await one_run(orders, home, server.address, namespace)  # type: ignore[arg-type]
                    except Exception as error:
                        log = home / "worker.log"
                        tail = log.read_text()[-2000:] if log.exists() else ""
                        result = Result(wrong=[f"{type(error).__name__}: {error}\n{tail}"])
                    tell(told(number, result))
                    return result

            made.results = list(
                await asyncio.gather(*(play(number, orders) for number, orders in enumerate(deal(runs, seed), 1)))
            )
    return made


def told(number: int, result: Result) -> str:
    """One run in one line."""
    verdict = "; ".join(result.wrong) or "all as it must be"
    return (
        f"run {number}: {len(result.kills)} kills, {result.sent_again >> 20} MiB of {result.sent >> 20} sent again "
        f"(at most {result.allowed_again >> 20}), {result.seconds:.0f} s: {verdict}"
    )


def table(made: Campaign) -> str:
    """Markdown: kills by activity and phase."""
    phases = [phase for phase in _ORDER if any(each == phase for each, _ in made.hits)]
    names = sorted({name for _, name in made.hits})
    lines = [f"| hit by a kill | {' | '.join(phases)} | all |", "| --- |" + " ---: |" * (len(phases) + 1)]
    for name in names:
        counts = [made.hits[(phase, name)] for phase in phases]
        lines.append(f"| `{name}` | {' | '.join(str(count or '') for count in counts)} | {sum(counts)} |")
    kills = sum(len(result.kills) for result in made.results)
    again, sent = sum(each.sent_again for each in made.results), sum(each.sent for each in made.results)
    allowed = sum(each.allowed_again for each in made.results)
    return "\n".join(
        [
            *lines,
            "",
            f"{len(made.results)} runs, seed {made.seed}: {kills} kills; {again / 2**20:.1f} MiB of {sent / 2**20:.1f} "
            f"MiB were sent again, at most {allowed / 2**20:.1f} may be (one segment of {SEGMENT >> 20} MiB for each "
            "copy that a kill hit).",
        ]
    )


_ORDER = ("before", "preflight", "shell", "initial-sync", "delta-sync", "awaiting-approval", "cutover", "start",
          "done", "rolled-back", "failed", "cancelled", "between")  # fmt: skip
