"""Temporal's time-skipping server: where everybody waits, the clock goes on by itself. Its jars come by Maven, once."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from tests.conftest import not_tested
from tests.support import search_attribute_kinds

POM = Path(__file__).resolve().parent.parent / "tools" / "time-skipping" / "pom.xml"


def server_program() -> Path:
    """A script that runs it. Where Java or Maven is missing, or Maven has no way out, the test says so."""
    java, maven = shutil.which("java"), shutil.which("mvn")
    if java is None or maven is None:
        not_tested("java or mvn is missing (Debian: default-jre-headless, maven), so simulated weeks are NOT tested")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ferry"
    home = base / f"time-skipping-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if not (home / "whole").exists():
        told = subprocess.run(
            [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={home / 'jars'}"],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        if told.returncode:
            not_tested(f"Maven did not bring the time-skipping server: {told.stdout[-500:]}")
        (home / "whole").touch()
    program = home / "server"
    program.write_text(
        "#!/bin/sh\nexec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx512m "
        f'-cp "{home / "jars"}/*" io.temporal.testserver.TestServer "$@"\n'
    )
    program.chmod(0o755)
    return program


@asynccontextmanager
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """One server, for one test at a time: its clock is everybody's."""
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(server_program()),
        test_server_startup_timeout=timedelta(seconds=60),
        data_converter=pydantic_data_converter,
    )
    async with environment:
        try:
            await environment.client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace="default", search_attributes=search_attribute_kinds())
            )
        except RPCError as error:
            raise AssertionError(f"its search attributes: {error.message}") from None
        yield environment
