"""The webhook, against a real HTTPS server on loopback."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from activities.notifying import send
from contracts.errors import FerryError
from contracts.notices import Event, Notice, NotifyConfig
from simulators.authority import Authority

NOTICE = Notice(
    key="run-1", event=Event.NEEDS_HUMAN, text='fleet spring: "wéb01" needs a human', workflow="fleet/spring"
)


class Receiver(ThreadingHTTPServer):
    """``got``: headers and bodies; ``answers``: the statuses to come, then 200."""

    got: list[tuple[dict[str, str], bytes]]
    answers: list[int]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        server.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(server.answers.pop(0) if server.answers else 200)
        self.send_header("Location", "https://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    server = Receiver(("127.0.0.1", 0), _Handler)
    server.got, server.answers = [], []
    server.socket = Authority(tmp_path).server_context("127.0.0.1").wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def config(receiver: Receiver, tmp_path: Path, **more: Any) -> NotifyConfig:
    url = f"https://127.0.0.1:{receiver.server_port}/hook/SECRETPATH"
    return NotifyConfig.model_validate({"url": url, "ca_file": tmp_path / "ca.pem", **more})


async def test_a_message_is_readable_signed_and_has_a_key(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "k3y-of-the-hook")

    await send(config(receiver, tmp_path, secret="env:HOOK_SECRET"), [NOTICE])

    [(headers, body)] = receiver.got
    said = json.loads(body)
    assert said["text"] == NOTICE.text
    assert said["event"] == "needs-human"
    assert headers["Idempotency-Key"] == "run-1"
    assert headers["X-Ferry-Signature"] == f"sha256={hmac.new(b'k3y-of-the-hook', body, hashlib.sha256).hexdigest()}"


async def test_what_is_refused_is_not_tried_again_and_what_is_busy_is(receiver: Receiver, tmp_path: Path) -> None:
    refused, later = "notify.refused", "notify.unreachable"
    for status, code in ((404, refused), (302, refused), (503, later), (429, later)):
        receiver.answers = [status]
        with pytest.raises(FerryError) as told:
            await send(config(receiver, tmp_path), [NOTICE])
        assert told.value.code == code
        assert "SECRETPATH" not in str(told.value)
    assert len(receiver.got) == 4  # no redirect was followed


async def test_nothing_is_said_to_somebody_who_is_not_trusted(receiver: Receiver, tmp_path: Path) -> None:
    with pytest.raises(FerryError, match=r"127\.0\.0\.1") as refused:
        await send(config(receiver, tmp_path).model_copy(update={"ca_file": None}), [NOTICE])

    assert refused.value.code == "notify.unreachable"
    assert receiver.got == []


def test_the_address_is_https_or_a_reference_and_a_secret_is_a_reference() -> None:
    assert NotifyConfig(url="env:HOOK").url == "env:HOOK"
    for wrong in ({"url": "http://chat.example/hook"}, {"url": "https://chat.example/x", "secret": "hunter2"}):
        with pytest.raises(ValidationError):
            NotifyConfig.model_validate(wrong)
