"""One run after the other, in a process with a Temporal server of its own: seeds come in, lines of JSON go out.

``python -m tests.chaos.lane FOLDER CODE_VERSION``
"""

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn, TextIO

import structlog

from starter.temporal_server import DevServer
from tests.chaos.grid import orders
from tests.chaos.one_run import as_line, one_run


async def _lane(folder: Path, code: str, answers: TextIO) -> None:
    with DevServer(folder / "temporal") as server:
        signal.signal(signal.SIGTERM, lambda *_: _end(server))
        print(json.dumps({"ready": os.getpid()}), file=answers, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            seed = int(line)
            home = folder / str(seed)
            home.mkdir(parents=True)
            result = await one_run(orders(seed), home, server)
            if not result.wrong:
                shutil.rmtree(home, ignore_errors=True)
            print(as_line(result, code), file=answers, flush=True)


def main() -> None:
    """Until nobody has more seeds."""
    logging.disable(logging.CRITICAL)  # steps fail here by the hundred: that is the point
    structlog.configure(processors=[_drop])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed is none
    asyncio.run(_lane(Path(sys.argv[1]), sys.argv[2], answers))


def _end(server: DevServer) -> NoReturn:
    """At once, whatever is under way, and all that was begun with it."""
    server.kill()
    os.killpg(0, signal.SIGKILL)
    raise AssertionError("we are in that group")


def _drop(*_: object) -> str:
    raise structlog.DropEvent


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # SDK 1.35 crashes the interpreter at exit now and then (temporal.md §7a)
