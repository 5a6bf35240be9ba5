"""The systemd units: systemd accepts them, and the commands in them do what they say."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from starter.temporal_server import free_port
from tests.conftest import require_tool

CLONE = Path(__file__).resolve().parents[2]
UNITS = sorted((CLONE / "deploy" / "systemd").glob("*.service"))


def _command(unit: str, key: str) -> list[str]:
    """The words of one `Exec…=` line, continued lines joined."""
    text = (CLONE / "deploy" / "systemd" / unit).read_text().replace("\\\n", " ")
    [line] = re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)
    return shlex.split(line)


@pytest.fixture
def units_here(tmp_path: Path, temporal_cli: Path) -> list[Path]:
    """Copies whose paths point into this clone: systemd looks whether the programs are there."""
    copies = []
    for unit in UNITS:
        here = unit.read_text().replace("/usr/local/bin/temporal", str(temporal_cli)).replace("/opt/ferry", str(CLONE))
        copy = tmp_path / unit.name
        copy.write_text(here.replace("User=ferry", "User=root"))  # no user of that name is needed to test
        copies.append(copy)
    return copies


def _verify(units: list[Path]) -> "subprocess.CompletedProcess[str]":
    analyze = require_tool("systemd-analyze", "systemd")
    # Only these units: what the machine has of its own is not ours to judge.
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units[0].parent}:", "SYSTEMD_LOG_LEVEL": "warning"}
    return subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", *map(str, units)],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_systemd_accepts_the_units(units_here: list[Path]) -> None:
    verified = _verify(units_here)

    assert len(units_here) == 2
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize(("good", "bad"), [("ExecStart=", "ExecStart=/no/such"), ("Restart=always", "Restart=perhaps")])
def test_the_check_sees_a_wrong_unit(units_here: list[Path], good: str, bad: str) -> None:
    units_here[1].write_text(units_here[1].read_text().replace(good, bad))

    verified = _verify(units_here)

    assert verified.returncode or verified.stderr


async def test_the_server_of_the_unit_starts_and_remembers_for_ninety_days(tmp_path: Path, temporal_cli: Path) -> None:
    frontend, ui = free_port(), free_port()
    changes = {
        "/usr/local/bin/temporal": str(temporal_cli),
        "/var/lib/ferry-temporal": str(tmp_path),
        "7233": str(frontend),
        "8233": str(ui),
    }

    def here(words: list[str]) -> list[str]:
        for old, new in changes.items():
            words = [word.replace(old, new) for word in words]
        return words

    server = subprocess.Popen(here(_command("ferry-temporal.service", "ExecStart")), stdout=subprocess.DEVNULL)
    try:
        subprocess.run(
            here(_command("ferry-temporal.service", "ExecStartPost")), check=True, timeout=60, capture_output=True
        )
        client = await Client.connect(f"127.0.0.1:{frontend}")
        described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait, 20)

    assert described.config.workflow_execution_retention_ttl.seconds == 90 * 24 * 3600
    assert (tmp_path / "temporal.db").stat().st_size > 0


def test_the_worker_of_the_unit_says_what_is_missing(tmp_path: Path) -> None:
    words = [
        word.replace("/opt/ferry/.venv/bin/python", sys.executable)
        .replace("/opt/ferry", str(CLONE))
        .replace("/etc/ferry", str(tmp_path))
        for word in _command("ferry-worker.service", "ExecStart")
    ]

    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    assert ended.returncode == 1
    assert ended.stderr.startswith("error[config.invalid]")
