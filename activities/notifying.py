"""The webhook: one POST a message. Whoever ordered it waits for nothing: it is tried a few times and then let go."""

import hashlib
import hmac
import json
import ssl
from urllib.parse import urlsplit

import httpx
from temporalio import activity

from activities.systems import Systems
from contracts.errors import FerryError
from contracts.notices import Notice, NoticeAnswer, NoticeOrder, NotifyConfig
from trust.references import resolve

ANSWER_WITHIN = 5.0
_LATER = frozenset({408, 425, 429})


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
        FerryError: ``notify.refused``, ``notify.unreachable``. Neither tells the address, which may be a secret.
    """
    url = config.url if config.url.startswith("https://") else resolve(config.url)
    if not url.startswith("https://"):
        raise FerryError("notify.refused", "the address that [notify] url leads to does not begin with https://")
    secret = resolve(config.secret).encode() if config.secret is not None else b""
    trusted = ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file is not None else None)
    async with httpx.AsyncClient(verify=trusted, timeout=ANSWER_WITHIN, trust_env=False) as client:
        for notice in notices:
            body = json.dumps(notice.model_dump(mode="json", exclude={"key"}), ensure_ascii=False).encode()
            headers = {"Content-Type": "application/json", "Idempotency-Key": notice.key}
            if secret:
                headers["X-Ferry-Signature"] = f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
            await _post(client, url, body, headers)


async def _post(client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> None:
    host = urlsplit(url).hostname or "?"
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
