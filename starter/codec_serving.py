"""What `ferry codec-server` may be asked to be, and its life."""

import contextlib
import ssl
from collections.abc import Sequence
from pathlib import Path

from contracts.errors import FerryError
from starter.codec_server import LOOPBACK, CodecServer, Door
from starter.settings import load_settings
from trust.converting import codec_of
from trust.references import resolve


def serve(
    bind: str,
    token: str | None,
    origin: str | None,
    namespaces: Sequence[str],
    certificate: Path | None,
    key: Path | None,
    config: Path | None,
) -> None:
    """Until it is interrupted.

    Raises:
        FerryError: ``request.invalid`` for what would lay payloads open, ``config.invalid`` without a payload key.
    """
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit():
        raise FerryError("request.invalid", f"--bind {bind}: write HOST:PORT")
    if origin is not None and (origin == "*" or "://" not in origin or origin.rstrip("/").count("/") != 2):
        raise FerryError(
            "request.invalid", "--origin names one address of the Web UI, such as https://temporal.example"
        )
    if (certificate is None) != (key is None):
        raise FerryError("request.invalid", "--tls-cert and --tls-key go together")
    if host not in LOOPBACK and (token is None or certificate is None):
        raise FerryError(
            "request.invalid", f"--bind {bind} is reached from elsewhere: it takes --token, --tls-cert and --tls-key"
        )
    codec = codec_of(load_settings(config).temporal)
    if not codec.key_ids:
        raise FerryError("config.invalid", "[temporal] payload_key is not set, so there is nothing to decode")
    door = Door(resolve(token) if token else None, origin.rstrip("/") if origin else None, frozenset(namespaces))
    try:
        server = CodecServer((host, int(port)), codec, door, _tls(certificate, key))
    except OSError as error:
        raise FerryError("request.invalid", f"--bind {bind}: {error.strerror}") from None
    with server, contextlib.suppress(KeyboardInterrupt):
        scheme = "http" if certificate is None else "https"
        print(
            f"codec server: {scheme}://{bind.rpartition(':')[0]}:{server.server_port}, keys {', '.join(codec.key_ids)}",
            flush=True,
        )
        server.serve_forever()


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise FerryError("config.invalid", f"--tls-cert or --tls-key cannot be read: {error}") from None
    return context
