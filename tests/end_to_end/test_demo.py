"""The demo as `make demo` runs it: it is the first thing that anybody sees, and it must never be wrong."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from starter.demo.story import SEGMENT_BYTES
from tests.end_to_end.running import BIN, ROOT


def _played(scratch: Path) -> dict[str, Any]:
    """Its report; stdout is that and nothing else."""
    ended = subprocess.run(
        [str(BIN / "ferry"), "demo", "-o", "json"], cwd=ROOT, env={**os.environ, "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def _left(scratch: Path) -> list[str]:
    """Processes and files that are still about."""
    return [line for line in _commands() if str(scratch) in line] + [str(each) for each in scratch.iterdir()]


def _commands() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended just now
            yield file.read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _judge(report: dict[str, Any]) -> None:
    assert report["outcome"] == "done"
    assert report["proof_target_is_sent"] == report["proof_target_is_source"] == "holds"
    assert report["files_equal"]
    assert report["worker_killed"]
    assert min(report["segments_durable_at_kill"].values()) >= 3
    assert len(report["segments_durable_at_kill"]) == 2
    assert 0 <= report["bytes_sent_again"] <= 2 * SEGMENT_BYTES
    assert report["passes"] >= 3
    assert report["bytes_sent"] > report["bytes_allocated"] > 0
    assert report["downtime_s"] > 0


def test_the_demo_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    _judge(_played(tmp_path))

    assert _left(tmp_path) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_demo_ends_well_ten_times_in_a_row(tmp_path: Path) -> None:
    again = []
    for _ in range(10):
        report = _played(tmp_path)
        _judge(report)
        again.append(report["bytes_sent_again"])

    assert any(again), "the kill never fell into a segment, so it shows nothing"
