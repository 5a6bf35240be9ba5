"""The `temporal` program, found or made: it holds the dev server, and it is what a person starts one with by hand."""

import asyncio
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from contracts.errors import FerryError
from starter.go_tools import build_with_go, cached_program, say

DOWNLOAD_WITHIN = 45.0
"""Seconds; where Go can build it, a slow download is not worth more."""
DOWNLOAD_WITHIN_AS_THE_LAST_HOPE = 300.0


def find_temporal_cli() -> Path:
    """The `temporal` program: ``TEMPORAL_CLI``, else on PATH, else cached, else downloaded, else built with Go.

    Raises:
        FerryError: ``temporal.no_server``, telling all the ways to get one.
    """
    if named := os.environ.get("TEMPORAL_CLI"):
        if found := shutil.which(named):
            return Path(found).absolute()
        raise FerryError("temporal.no_server", f"TEMPORAL_CLI names {named}, which cannot be run")
    if found := shutil.which("temporal"):
        return Path(found).absolute()
    cached = cached_program("temporal")
    if cached.exists():
        return cached
    if made := _downloaded(cached) or build_with_go("temporal", takes="three minutes or more"):
        return made
    raise FerryError(
        "temporal.no_server",
        "there is no Temporal server to start, and none could be downloaded or built: put `temporal` on PATH, "
        "name it in TEMPORAL_CLI, or install Go (1.26 or newer) and say `make setup` in a clone of Ferry",
    )


def _downloaded(cached: Path) -> Path | None:
    """The SDK's own download, tried by starting it once; None where the network does not allow it."""
    from temporalio.testing import WorkflowEnvironment

    say("downloading the Temporal dev server …")
    within = DOWNLOAD_WITHIN if shutil.which("go") else DOWNLOAD_WITHIN_AS_THE_LAST_HOPE
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".downloading-", dir=cached.parent) as aside:

        async def fetch() -> None:
            environment = await asyncio.wait_for(WorkflowEnvironment.start_local(download_dest_dir=aside), within)
            await environment.shutdown()

        try:
            with ThreadPoolExecutor(1) as apart:  # the caller may be inside an event loop
                apart.submit(asyncio.run, fetch()).result()
        except (RuntimeError, OSError, TimeoutError):
            say("… it cannot be downloaded from here")
            return None
        for each in sorted(Path(aside).glob("temporal*")):
            if each.is_file() and os.access(each, os.X_OK):
                each.replace(cached)
                return cached
    return None


def main() -> int:
    """``make setup``: say where things are."""
    try:
        cli = find_temporal_cli()
    except FerryError as error:
        say(f"error[{error.code}]: {error.message}")
        return 1
    here = Path(sys.executable).parent
    print(f"ferry     {here / 'ferry'}\npython    {here / 'python'}\ntemporal  {cli}   (folder: {cli.parent})")
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the SDK may have been loaded, and 1.35 crashes the interpreter at exit now and then
