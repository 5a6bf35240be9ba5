"""The way to Temporal: its own profiles and variables win, then ferry.toml, then the dev server's address."""

import asyncio
import os
import re
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfigProfile

from contracts.config import TemporalConfig
from contracts.errors import FerryError

DEV_SERVER = "localhost:7233"
_REASON = re.compile(r'message: "([^"]+)"')
"""The words in what the SDK's Rust part prints of an error, such as "Connection refused"."""
PATIENCE = 10.0
"""Seconds to wait for a server that neither answers nor refuses."""


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
    options.setdefault("target_host", temporal.address or DEV_SERVER)
    options.setdefault("namespace", temporal.namespace or "default")
    return options


async def connect(temporal: TemporalConfig) -> Client:
    """A client that speaks our models.

    Raises:
        FerryError: ``temporal.unreachable``.
    """
    options = connect_options(temporal)
    try:
        return await asyncio.wait_for(Client.connect(**options, data_converter=pydantic_data_converter), PATIENCE)
    except TimeoutError:
        raise FerryError("temporal.unreachable", f"{options['target_host']} does not answer") from None
    except RuntimeError as error:  # "Failed client connect: …"
        told = _REASON.search(str(error))
        reason = told[1] if told else str(error).removeprefix("Failed client connect: ")
        raise FerryError("temporal.unreachable", f"{options['target_host']}: {reason}") from None
