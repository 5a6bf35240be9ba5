"""The codec server: what lets the `temporal` command line and the Web UI read what is encrypted.

``POST /encode`` and ``POST /decode`` take and give ``{"payloads": [...]}`` as protobuf's JSON (docs.temporal.io,
"Codec Server"). Who may ask is said by a bearer token, which a browser sends on behalf of the Web UI only from the
origin that was named. It logs no body, no token, and no path that it does not know.
"""

import asyncio
import hmac
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payloads

from contracts.errors import FerryError
from trust.sealing import SealingCodec

MOST = 8 << 20
"""Bytes of a question. A page of a history is 4 MiB at most, in base64 a third more."""
PATIENCE = 20.0
"""Seconds for a question to arrive."""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_HEADERS = "Authorization, Content-Type, X-Namespace"


@dataclass(frozen=True)
class Door:
    """Who may ask: ``token`` as bearer, from the Web UI at ``origin``, for ``namespaces`` (all, when empty)."""

    token: str | None = None
    origin: str | None = None
    namespaces: frozenset[str] = frozenset()


class CodecServer(ThreadingHTTPServer):
    """Serves until it is shut down. ``tls``: certificate and key have been loaded."""

    daemon_threads = True

    def __init__(self, bind: tuple[str, int], codec: SealingCodec, door: Door, tls: ssl.SSLContext | None) -> None:
        self.codec, self.door, self.tls = codec, door, tls
        super().__init__(bind, _Answering)

    def finish_request(self, request: object, client_address: object) -> None:
        """In a thread of its own, the handshake too: a client that says nothing holds nobody else up."""
        request.settimeout(PATIENCE)  # type: ignore[attr-defined]
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)  # type: ignore[arg-type]
            except (OSError, ssl.SSLError):
                return
        super().finish_request(request, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up; that is all there is to it."""


class _Answering(BaseHTTPRequestHandler):
    server: CodecServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "ferry-codec", ""

    def do_OPTIONS(self) -> None:
        """The browser asks first whether the Web UI may."""
        self._answer(HTTPStatus.NO_CONTENT)

    def do_POST(self) -> None:
        """Encode or decode."""
        work: Callable[..., object] | None = {
            "encode": self.server.codec.encode,
            "decode": self.server.codec.decode,
        }.get(self.path.partition("?")[0].rstrip("/").rpartition("/")[2])
        body = self._body()
        if body is None:
            return
        if work is None:
            return self._refuse(HTTPStatus.NOT_FOUND, "POST to /encode or /decode")
        if not self._may_ask():
            return self._refuse(HTTPStatus.UNAUTHORIZED, "a bearer token is wanted")
        namespace = self.headers.get("X-Namespace", "")
        if self.server.door.namespaces and namespace not in self.server.door.namespaces:
            return self._refuse(HTTPStatus.FORBIDDEN, "this namespace is not served here")
        try:
            asked = Parse(body, Payloads(), max_recursion_depth=20)
        except (ParseError, UnicodeDecodeError, ValueError):
            return self._refuse(HTTPStatus.BAD_REQUEST, "the body is no payloads")
        try:
            answered = Payloads(payloads=asyncio.run(work(asked.payloads)))  # type: ignore[arg-type]
        except FerryError as error:
            return self._refuse(HTTPStatus.BAD_REQUEST, f"{error.code}: {error.message}")
        self._answer(HTTPStatus.OK, MessageToJson(answered, indent=None).encode())

    def _body(self) -> bytes | None:
        """Read before anything is refused, so that the answer is heard; None when that cannot be."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.close_connection = True
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is wanted")
            return None
        if int(length) > MOST:
            self.close_connection = True
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST} bytes")
            return None
        return self.rfile.read(int(length))

    def _may_ask(self) -> bool:
        wanted = self.server.door.token
        if wanted is None:  # on loopback only: a web page that has had its own name point here asks by that name
            return urlsplit(f"//{self.headers.get('Host', '')}").hostname in LOOPBACK
        given = self.headers.get("Authorization", "").encode("latin-1", "replace")
        return hmac.compare_digest(given, b"Bearer " + wanted.encode())

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._answer(status, json.dumps({"message": why}).encode())

    def _answer(self, status: HTTPStatus, body: bytes = b"") -> None:
        self.send_response(status)
        origin = self.server.door.origin
        if origin is not None and self.headers.get("Origin") == origin:
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Access-Control-Allow-Methods", "POST, OPTIONS")
            self.send_header("Access-Control-Allow-Headers", _HEADERS)
            self.send_header("Access-Control-Allow-Credentials", "true")
        self.send_header("Vary", "Origin")
        if status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not a word: who reads what is for the door in front of it to log."""
