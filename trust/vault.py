"""HashiCorp Vault and OpenBao: the KV secrets engine by its HTTP API, versions 1 and 2, over verified TLS.

Where it is and who we are is said in Vault's own variables: ``VAULT_ADDR``, ``VAULT_CACERT``, ``VAULT_NAMESPACE``,
and ``VAULT_TOKEN``, else ``VAULT_ROLE_ID`` with ``VAULT_SECRET_ID`` (AppRole), else a token file: ``VAULT_TOKEN_FILE``,
which Vault Agent keeps fresh, or ``~/.vault-token``. A reference is ``PATH#FIELD``, the path as ``vault kv get`` or as
the API has it: ``secret/ferry#password``, ``secret/data/ferry#password``.

Sources: Vault's HTTP API, /api-docs/secret/kv/kv-v1, kv-v2, auth/approle; ``sys/internal/ui/mounts`` is what
``vault kv`` asks for an engine's version.
"""

import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from contracts.errors import FerryError
from contracts.redaction import keep

SECONDS = 10.0
MOST = 1 << 20
"""Bytes of an answer."""
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def read(name: str) -> str | None:
    """One field of one secret; None where there is no such field.

    Raises:
        FerryError: ``vault.unreachable``, ``vault.refused``; ``config.invalid`` for variables that make no sense;
            ``config.secret_missing`` for a reference without a field.
    """
    path, _, field = name.partition("#")
    path = path.strip("/")
    if not path or not field:
        raise FerryError("config.secret_missing", f"vault:{name} names no field: write vault:PATH#FIELD")
    with _client() as client:
        client.headers.update({b"X-Vault-Token": _token(client).encode()})
        found = _fields(client, path)
    value = None if found is None else found.get(field)
    return None if value is None else str(value)


def _client() -> httpx.Client:
    address = os.environ.get("VAULT_ADDR", "")
    parts = urlsplit(address)
    if not parts.hostname:
        raise FerryError("config.invalid", "vault: needs VAULT_ADDR, such as https://vault.example:8200")
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        told = f"VAULT_ADDR {parts.scheme}://{parts.hostname} is not https: the token would be read on the way"
        raise FerryError("config.invalid", told)
    authority = os.environ.get("VAULT_CACERT")
    try:
        verify = ssl.create_default_context(cafile=authority or None)
    except (OSError, ssl.SSLError):
        raise FerryError("config.invalid", f"VAULT_CACERT {authority} holds no certificate that can be read") from None
    namespace = os.environ.get("VAULT_NAMESPACE")
    headers = {"X-Vault-Request": "true", **({"X-Vault-Namespace": namespace} if namespace else {})}
    return httpx.Client(base_url=address, verify=verify, headers=headers, timeout=SECONDS, trust_env=False)


def _token(client: httpx.Client) -> str:
    if token := os.environ.get("VAULT_TOKEN"):
        return keep(token)
    role, secret = os.environ.get("VAULT_ROLE_ID"), os.environ.get("VAULT_SECRET_ID")
    if role and secret:
        said = {"role_id": role, "secret_id": keep(secret)}
        status, answer = _ask(client, "POST", "auth/approle/login", said)
        token = (answer.get("auth") or {}).get("client_token")
        if status != httpx.codes.OK or not token:
            raise FerryError(
                "vault.refused", f"{client.base_url.host}: the AppRole of VAULT_ROLE_ID is refused ({status})"
            )
        return keep(str(token), passing=True)
    file = Path(os.environ.get("VAULT_TOKEN_FILE") or Path.home() / ".vault-token")
    try:
        return keep(file.read_text(encoding="utf-8").strip(), passing=True)
    except (OSError, UnicodeDecodeError):
        told = f"no VAULT_TOKEN, no VAULT_ROLE_ID with VAULT_SECRET_ID, and {file} cannot be read"
        raise FerryError("vault.refused", told) from None


def _fields(client: httpx.Client, path: str) -> dict[str, Any] | None:
    """The fields of a secret, however its engine keeps them; None where there is none."""
    status, answer = _ask(client, "GET", path)
    if status in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND) and (full := _versioned(client, path)):
        status, answer = _ask(client, "GET", full)
    if status == httpx.codes.FORBIDDEN:
        raise FerryError("vault.refused", f"{client.base_url.host}: {path} may not be read with this token")
    if status == httpx.codes.NOT_FOUND:
        return None
    if status != httpx.codes.OK:
        raise FerryError("vault.unreachable", f"{client.base_url.host}: {path}: HTTP {status}")
    data = answer.get("data")
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("metadata"), dict) and "version" in data["metadata"]:  # KV version 2
        data = data.get("data")
    return data if isinstance(data, dict) else None


def _versioned(client: httpx.Client, path: str) -> str | None:
    """``mount/data/rest`` where the path is ``mount/rest`` of a KV version 2."""
    status, answer = _ask(client, "GET", f"sys/internal/ui/mounts/{path}")
    engine = answer.get("data") or {}
    mount = str(engine.get("path") or "")
    if status != httpx.codes.OK or (engine.get("options") or {}).get("version") != "2" or not mount:
        return None
    rest = path.removeprefix(mount)
    return None if rest.startswith("data/") else f"{mount}data/{rest}"


def _ask(
    client: httpx.Client, method: str, path: str, said: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    host = client.base_url.host
    try:
        with client.stream(method, f"/v1/{quote(path)}", json=said) as answer:
            body = b""
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > MOST:
                    raise FerryError("vault.unreachable", f"{host}: too long an answer")
            status = answer.status_code
    except httpx.HTTPError as error:
        raise FerryError("vault.unreachable", f"{host}: {error}") from None
    try:
        told = httpx.Response(200, content=body).json()
    except ValueError:
        told = {}
    return status, told if isinstance(told, dict) else {}
