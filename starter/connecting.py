"""The way to Temporal: its own profiles and variables win, then ferry.toml, then the dev server's address.

TLS, client certificates and the API key are said where every Temporal program finds them: ``TEMPORAL_TLS…``,
``TEMPORAL_API_KEY``, or the profile in ``TEMPORAL_CONFIG_FILE``.
"""

import asyncio
import os
import re
from typing import Any

from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfigProfile
from temporalio.runtime import Runtime

from contracts.config import TemporalConfig
from contracts.errors import FerryError
from contracts.redaction import keep
from trust.converting import converter_of

DEV_SERVER = "localhost:7233"
_REASON = re.compile(r'message: "([^"]+)"')
"""The words in what the SDK's Rust part prints of an error, such as "Connection refused"."""
_CERTIFICATE = re.compile(r"InvalidCertificate\((\w+)")
_ALERT = re.compile(r"AlertReceived\((\w+)")
PATIENCE = 10.0
"""Seconds that a person waits for a server that neither answers nor refuses."""


def connect_options(temporal: TemporalConfig) -> dict[str, Any]:
    """Arguments of ``Client.connect``.

    Raises:
        FerryError: ``config.invalid`` for a Temporal profile that cannot be read.
    """
    try:
        profile = ClientConfigProfile.load(override_env_vars=dict(os.environ))
        options: dict[str, Any] = dict(profile.to_client_connect_config())
    except Exception as error:  # the SDK raises what its Rust part gives: RuntimeError, ValueError
        raise FerryError("config.invalid", f"Temporal's own configuration: {error}") from None
    if options.get("api_key"):
        keep(options["api_key"])
    options.setdefault("target_host", temporal.address or DEV_SERVER)
    options.setdefault("namespace", temporal.namespace or "default")
    return options


async def connect(
    temporal: TemporalConfig,
    *,
    converter: DataConverter | None = None,
    runtime: Runtime | None = None,
    patience: float = PATIENCE,
) -> Client:
    """A client that speaks our models, encrypted where a key is named.

    Args:
        converter: of the config's keys, when not given.
        runtime: the process's own, where its logs are wanted.
        patience: seconds for a server that neither answers nor refuses.

    Raises:
        FerryError: ``temporal.unreachable``, ``temporal.certificate``, ``temporal.refused``.
    """
    options = connect_options(temporal)
    converter = converter or converter_of(temporal)
    try:
        return await asyncio.wait_for(Client.connect(**options, data_converter=converter, runtime=runtime), patience)
    except TimeoutError:
        raise FerryError("temporal.unreachable", f"{options['target_host']} does not answer") from None
    except (RuntimeError, ValueError) as error:
        raise _told(str(error), options["target_host"]) from None


_HUNG_UP = re.compile(r"connection closed|UnexpectedEof|ConnectionReset|ConnectionAborted|BrokenPipe|NotConnected")
"""A server that wants TLS, or another client certificate, ends the connection and gives no reason (TLS 1.3).

By the names of ``std::io::ErrorKind``, as the words beside them differ (rustls's own, or the system's).
"""


def _told(error: str, host: str) -> FerryError:
    """What the SDK's Rust part prints ("Failed client connect: …", and within it tonic's, hyper's and rustls's)."""
    if bad := _CERTIFICATE.search(error):
        return FerryError("temporal.certificate", f"{host}: its certificate is refused: {bad[1]}")
    if alert := _ALERT.search(error):
        return FerryError("temporal.certificate", f"{host}: it refuses the TLS connection: {alert[1]}")
    if "InvalidContentType" in error:
        return FerryError("temporal.certificate", f"{host}: it does not speak TLS")
    words = _REASON.search(error)
    reason = words[1] if words else error.removeprefix("Failed client connect: ")
    if "Unauthenticated" in error or "PermissionDenied" in error:
        return FerryError("temporal.refused", f"{host}: {reason}")
    if _HUNG_UP.search(error):
        told = "it hangs up before a word is said: it wants TLS, or a client certificate that it trusts"
        return FerryError("temporal.certificate", f"{host}: {told}")
    return FerryError("temporal.unreachable", f"{host}: {reason}")
