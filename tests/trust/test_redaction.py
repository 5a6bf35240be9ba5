"""What this process knows to be secret is in no text that it tells."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from contracts import redaction
from contracts.errors import FerryError
from contracts.redaction import keep, redacted
from tests.trust.hunting import forms, found_in

ROOT = Path(__file__).parents[2]
SECRET = ":\"$ü%pa/ss+<&>'\\wörd"


@pytest.fixture(autouse=True)
def nothing_known_before(monkeypatch):
    monkeypatch.setattr(redaction, "_lasting", {})
    monkeypatch.setattr(redaction, "_passing", type(redaction._passing)(maxlen=redaction.MOST_PASSING))
    monkeypatch.setattr(redaction, "_forms", ())


@pytest.mark.parametrize("spelling", sorted(set(forms(SECRET)) - {"hex", "latin-1"}))
def test_a_secret_is_hidden_in_every_spelling(spelling):
    keep(SECRET)
    text = f"before {forms(SECRET)[spelling].decode()} after"

    shown = redacted(text)

    assert found_in(shown.encode(), {"it": SECRET}) == []
    assert shown.startswith("before ")
    assert shown.endswith(" after")


def test_an_error_hides_what_a_server_repeats():
    keep(SECRET)

    error = FerryError("xapi.failure", f"no such user {SECRET}")

    assert error.message == "no such user [hidden]"
    assert str(error) == "xapi.failure: no such user [hidden]"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer 0123456789",
        "{'authorization': 'Basic 0123456789'}",
        'cookie: vmware_soap_session="0123456789"; Path=/',
        '{"session_id": "0123456789"}',
        "GET /x?session_id=0123456789&y=1",
        "('X-Vault-Token', '0123456789')",
    ],
)
def test_sessions_and_authorizations_are_hidden_though_nobody_named_them(text):
    assert "0123456789" not in redacted(text)


def test_words_about_sessions_stay():
    for text in ("the session_id is no longer valid", "cookie, and what it is", "no authorization for this VM"):
        assert redacted(text) == text


def test_sessions_are_forgotten_after_a_while_and_passwords_are_not():
    keep(SECRET)
    for number in range(redaction.MOST_PASSING + 1):
        keep(f"session-{number}-of-many", passing=True)

    assert redacted("session-0-of-many") == "session-0-of-many"
    assert redacted(f"session-{redaction.MOST_PASSING}-of-many {SECRET}") == "[hidden] [hidden]"


LOUD = """
import logging, sys, threading, warnings
import structlog
from contracts.redaction import keep
from trust.telling import speak
speak()
secret = keep(sys.stdin.read())
structlog.get_logger().warning("ours", password=secret, inside={"deep": [secret]})
logging.getLogger("temporalio.worker").warning("the SDK's: %s", secret)
warnings.warn("a warning: " + secret)
try:
    raise ValueError(secret)
except ValueError:
    logging.getLogger("asyncio").exception("with a traceback")
    structlog.get_logger().exception("ours, with a traceback")
thread = threading.Thread(target=lambda: {}[secret])
thread.start()
thread.join()
raise RuntimeError("nobody caught " + secret)
"""


def test_the_log_is_one_stream_of_json_without_a_secret():
    ended = subprocess.run(
        [sys.executable, "-c", LOUD], cwd=ROOT, input=SECRET.encode(), capture_output=True, timeout=60
    )

    lines = [json.loads(line) for line in ended.stderr.decode().splitlines()]

    assert found_in(ended.stderr, {"it": SECRET}) == []
    assert ended.stderr.count(b"[hidden]") >= 8
    assert [line["level"] for line in lines] == ["warning"] * 3 + ["error"] * 2 + ["critical"] * 2
    assert "the SDK's: [hidden]" in lines[1]["event"]
    assert lines[1]["logger"] == "temporalio.worker"
    assert all("timestamp" in line for line in lines)
    assert "RuntimeError: nobody caught [hidden]" in lines[-1]["exception"]
    assert ended.returncode == 1


def test_a_file_of_a_secret_that_all_may_read_is_told_once(tmp_path):
    from trust.references import resolve

    file = tmp_path / "password"
    file.write_text("sesame-open\n")
    file.chmod(0o644)
    told = subprocess.run(
        [sys.executable, "-c", "import sys; from trust.telling import speak; speak()\n"
         "from trust.references import resolve\nresolve('file:' + sys.argv[1]); resolve('file:' + sys.argv[1])", file],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert resolve(f"file:{file}") == "sesame-open"
    assert [json.loads(line)["level"] for line in told.stderr.splitlines()] == ["warning"]
    assert "chmod o=" in told.stderr
