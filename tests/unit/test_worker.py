"""What a worker says of itself when something fails: a code and a next step, and no traceback of what was told."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from trust.telling import _not_told_yet

ROOT = Path(__file__).parents[2]


def test_a_worker_that_cannot_begin_says_what_to_do(tmp_path):
    config = tmp_path / "ferry.toml"
    config.write_text("[store]\n")

    told = subprocess.run(
        [sys.executable, "worker.py", "--config", config], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip

    assert told.returncode == 1
    assert "error[config.invalid]" in told.stderr
    assert "to do: " in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("error", "kept"), [(ApplicationError("busy", type="vsphere.busy"), False), (KeyError(), True)]
)
def test_what_was_told_by_its_code_is_not_logged_again_with_a_traceback(error, kept):
    record = logging.LogRecord(
        "temporalio.activity", logging.WARNING, "", 0, "failed", None, (type(error), error, None)
    )

    assert _not_told_yet(record) is kept
