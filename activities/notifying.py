"""The webhook: one POST a message. Whoever ordered it waits for nothing: it is tried a few times and then let go."""

import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from temporalio import activity

from activities.systems import Systems
from contracts.errors import FerryError
from contracts.notices import Notice, NoticeAnswer, NoticeOrder, NotifyConfig
from platforms.reaching import all_at_once
from trust.references import resolve

ANSWER_WITHIN = 5.0
_LATER = frozenset({408, 425, 429})
Found = TypeVar("Found")


class NotifyingActivities:
    """``notify``."""

    def __init__(self, systems: Systems) -> None:
        self._config = systems.notify

    @activity.defn
    async def notify(self, order: NoticeOrder) -> NoticeAnswer:
        """Send what is wanted; what was sent is sent again on a retry, under the same key."""
        config = self._config
        if config is None:
            return NoticeAnswer(configured=False)
        wanted = [notice for notice in order.notices if notice.event in config.events]
        if wanted:
            await send(config, wanted)
        return NoticeAnswer(sent=len(wanted))


async def send(config: NotifyConfig, notices: list[Notice]) -> None:
    """All of them, in their order.

    Raises:
        FerryError: ``notify.refused``, ``notify.unreachable``, neither of which tells the address, which may be a
            secret; ``config.invalid``, ``config.secret_missing``.
    """
    url, secret, trusted = _address(config), _secret(config), _trusted(config)
    async with httpx.AsyncClient(verify=trusted, timeout=ANSWER_WITHIN, trust_env=False) as client:
        for notice in notices:
            body = json.dumps(notice.model_dump(mode="json", exclude={"key"}), ensure_ascii=False).encode()
            headers = {"Content-Type": "application/json", "Idempotency-Key": notice.key}
            if secret:
                headers["X-Ferry-Signature"] = f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
            await _post(client, url, body, headers)


def knock(config: NotifyConfig) -> list[FerryError]:
    """All that keeps a message from being sent, as far as it can be known without sending one: nothing is posted."""
    found: list[FerryError] = []

    def looked(look: Callable[[NotifyConfig], Found]) -> Found | None:
        try:
            return look(config)
        except FerryError as error:
            found.append(error)
            return None

    url, _, trusted = looked(_address), looked(_secret), looked(_trusted)
    if url is not None and trusted is not None and (why := _shaken(*_host_and_port(url), trusted)):
        found.append(FerryError("notify.unreachable", f"{_host_and_port(url)[0]}: {why}"))
    return found


def host_of(config: NotifyConfig) -> str:
    """Whom it is sent to: all of the address that is told."""
    return _host_and_port(_address(config))[0]


def _shaken(host: str, port: int, trusted: ssl.SSLContext) -> str:
    """Why no TLS connection comes about; empty where one does."""

    def dial() -> str:
        try:
            with (
                socket.create_connection((host, port), ANSWER_WITHIN) as plain,
                trusted.wrap_socket(plain, server_hostname=host),
            ):
                return ""
        except ssl.SSLCertVerificationError as error:
            return f"its certificate is not trusted: {error.verify_message}"
        except ssl.SSLError as error:
            return f"no TLS there: {error.reason}"
        except socket.gaierror:
            return "its name leads to no address"
        except (OSError, ValueError) as error:  # ValueError: a name that can be in no certificate
            return getattr(error, "strerror", None) or type(error).__name__

    slow = f"no answer within {ANSWER_WITHIN:.0f} s"
    return all_at_once({host: dial}, slow, ANSWER_WITHIN + 1)[host]  # a resolver has no time-out of its own


def _address(config: NotifyConfig) -> str:
    url = config.url if config.url.startswith("https://") else resolve(config.url)
    if not url.startswith("https://"):
        raise FerryError("notify.refused", "the address that [notify] url leads to does not begin with https://")
    _host_and_port(url)
    return url


def _host_and_port(url: str) -> tuple[str, int]:
    """Raises ``notify.refused``, without its text: it may be a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise FerryError("notify.refused", "the address of [notify] is no URL")
    return host, port or 443


def _secret(config: NotifyConfig) -> bytes:
    return resolve(config.secret).encode() if config.secret is not None else b""


def _trusted(config: NotifyConfig) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file is not None else None)
    except OSError:  # ssl.SSLError is one
        raise FerryError(
            "config.invalid", f"[notify] ca_file {config.ca_file} holds no certificate that can be read"
        ) from None


async def _post(client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> None:
    host, _ = _host_and_port(url)
    try:
        async with client.stream("POST", url, content=body, headers=headers) as answer:  # what it says is not read
            status = answer.status_code
    except httpx.InvalidURL:
        raise FerryError("notify.refused", "the address of [notify] is no URL") from None
    except httpx.HTTPError as error:
        raise FerryError("notify.unreachable", f"{host}: {type(error).__name__}") from None
    if 200 <= status < 300:
        return
    code = "notify.unreachable" if status >= 500 or status in _LATER else "notify.refused"
    raise FerryError(code, f"{host} answered {status}")
