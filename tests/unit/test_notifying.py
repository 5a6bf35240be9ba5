"""The webhook, against a real HTTPS server on loopback."""

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from activities.doctoring import of_worker
from activities.notifying import send
from contracts.error_catalogue import CATALOGUE
from contracts.errors import FerryError
from contracts.notices import Event, Notice, NotifyConfig
from disks.folder_store import FolderStore
from simulators.authority import Authority

NOTICE = Notice(
    key="run-1", event=Event.NEEDS_HUMAN, text='fleet spring: "wéb01" needs a human', workflow="fleet/spring"
)


class Receiver(ThreadingHTTPServer):
    """``got``: headers and bodies; ``answers``: the statuses to come, then 200; ``met``: somebody shook hands."""

    got: list[tuple[dict[str, str], bytes]]
    answers: list[int]
    met: threading.Event

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.met.set()
        super().finish_request(request, client_address)


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
    server.got, server.answers, server.met = [], [], threading.Event()
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


def doctor(folder: Path, notify: NotifyConfig) -> list[tuple[bool | None, str, str]]:
    """What it says of ``[notify]``."""
    lines = of_worker(FolderStore(folder / "store"), {}, notify)
    return [(each.ok, each.code, each.line) for each in lines if each.topic == "notify"]


def test_the_doctor_shakes_hands_with_the_webhook_and_posts_nothing(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "k3y-of-the-hook")
    right = config(receiver, tmp_path, secret="env:HOOK_SECRET", events=["needs-human"])

    assert doctor(tmp_path, right) == [
        (True, "", "127.0.0.1 is reached by TLS; needs-human, signed; nothing was posted")
    ]
    assert receiver.met.wait(5)
    assert receiver.got == []


def test_the_doctor_tells_all_that_would_keep_a_message_from_being_sent(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAIN_HOOK", "http://chat.example/hook/SECRETPATH")
    monkeypatch.setenv("ODD_HOOK", "https://chat.example:SECRETPATH/hook")
    (tmp_path / "empty.pem").write_text("")
    right = config(receiver, tmp_path)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        deserted = f"https://127.0.0.1:{nobody.getsockname()[1]}/hook/SECRETPATH"
        for change, code, words in (
            ({"ca_file": None}, "notify.unreachable", "certificate is not trusted"),
            ({"url": deserted}, "notify.unreachable", "127.0.0.1: Connection refused"),
            ({"url": "https://nobody.invalid/SECRETPATH"}, "notify.unreachable", "leads to no address"),
            ({"url": "env:PLAIN_HOOK"}, "notify.refused", "does not begin with https://"),
            ({"url": "env:ODD_HOOK"}, "notify.refused", "is no URL"),
            ({"url": "env:NO_HOOK"}, "config.secret_missing", "env:NO_HOOK leads to nothing"),
            ({"secret": "env:NO_SECRET"}, "config.secret_missing", "env:NO_SECRET leads to nothing"),
            ({"ca_file": tmp_path / "none.pem"}, "config.invalid", "none.pem holds no certificate"),
            ({"ca_file": tmp_path / "empty.pem"}, "config.invalid", "empty.pem holds no certificate"),
        ):
            [(ok, said, line)] = doctor(tmp_path, right.model_copy(update=change))
            assert (ok, said, words in line) == (False, code, True), line
            assert "SECRETPATH" not in line
            assert code in CATALOGUE
    both = right.model_copy(update={"secret": "env:NO_SECRET", "ca_file": tmp_path / "none.pem"})
    assert [code for _, code, _ in doctor(tmp_path, both)] == ["config.secret_missing", "config.invalid"]
    assert receiver.got == []


def test_a_port_that_speaks_no_tls_is_told_as_that(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        threading.Thread(target=_answer_plainly, args=(plain,), daemon=True).start()
        address = f"https://127.0.0.1:{plain.getsockname()[1]}/"
        [(ok, code, line)] = doctor(tmp_path, NotifyConfig(url=address))
    assert (ok, code) == (False, "notify.unreachable")
    assert line.startswith("127.0.0.1: no TLS there")


def _answer_plainly(server: socket.socket) -> None:
    dialled, _ = server.accept()
    with dialled:
        dialled.recv(1)
        dialled.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        dialled.recv(1 << 16)


async def test_what_keeps_a_message_from_being_sent_is_told_with_a_code(receiver: Receiver, tmp_path: Path) -> None:
    for change, code in (
        ({"ca_file": tmp_path / "none.pem"}, "config.invalid"),
        ({"url": "https://[chat.example/hook"}, "notify.refused"),
    ):
        with pytest.raises(FerryError) as told:
            await send(config(receiver, tmp_path).model_copy(update=change), [NOTICE])
        assert told.value.code == code
