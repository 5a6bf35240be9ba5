"""Temporal's test server, whose clock jumps over what is waited for: weeks of a migration in seconds.

``make judges`` has its jars fetched once, by Maven from the pinned ``tools/time-skipping``.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from tests.conftest import not_tested
from tests.support import register_attributes_at

POM = Path(__file__).resolve().parent.parent / "tools" / "time-skipping" / "pom.xml"


def server_program() -> Path:
    """A program that starts it, made once per pinned version."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "ferry" / f"time-skipping-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    program = folder / "server"
    if program.exists():
        return program
    java, maven = shutil.which("java"), shutil.which("mvn")
    if java is None or maven is None:
        not_tested("java or mvn is missing (Debian: default-jre-headless, maven), so weeks are NOT simulated")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as aside:
        shutil.copy(POM, aside)
        words = [maven, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
        fetched = subprocess.run(words, cwd=aside, stdin=subprocess.DEVNULL, stdout=2, check=False)
        if fetched.returncode:
            not_tested("Maven could not fetch Temporal's test server, so weeks are NOT simulated")
        script = Path(aside) / "server"
        flags = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx512m"
        main = "io.temporal.testserver.TestServer"
        script.write_text(f'#!/bin/sh\nexec java {flags} -cp "{folder}/lib/*" {main} "$@"\n')
        script.chmod(0o755)
        shutil.copytree(aside, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("server"))
        shutil.copy2(script, program)
    return program


@asynccontextmanager
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A server of one's own: its clock is everybody's."""
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(server_program()),
        test_server_startup_timeout=timedelta(seconds=60),
        data_converter=pydantic_data_converter,
    )
    try:
        await register_attributes_at(environment.client)
        yield environment
    finally:
        await environment.shutdown()


if __name__ == "__main__":
    server_program()
    sys.stdout.flush()
    os._exit(0)
