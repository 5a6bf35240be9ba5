"""The checks behind `ferry doctor`. Each goes on where the one before it allows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client, RPCError
from temporalio.service import RPCStatusCode

from contracts.error_catalogue import entry
from contracts.errors import ExitCode, FerryError
from contracts.inspection import InspectRequest
from contracts.names import Attribute
from starter.connecting import connect, connect_options
from starter.failures import as_ferry_error
from starter.inspecting import inspect
from starter.polling import needed, polled
from starter.settings import Settings, load_settings
from starter.temporal_limits import server_told
from trust.converting import codec_of


@dataclass(frozen=True)
class Finding:
    """One line. ``ok`` None: it could not be looked at, because of something above it."""

    what: str
    ok: bool | None
    line: str
    code: str = ""

    @property
    def action(self) -> str:
        """What to do; empty where all is well."""
        return entry(self.code).action if self.code else ""


async def check_all(config: Path | None, site: str = "") -> list[Finding]:
    """All lines, in the order in which they should be mended."""
    found: list[Finding] = []
    settings = _config(config, found)
    if settings.path is not None:
        _payloads(settings, found)
    client = await _temporal(settings, found)
    if client is None:
        return [*found, *(Finding(what, None, "not looked at: no Temporal") for what in ("workers", "systems"))]
    await _attributes(client, found)
    working = [await _workers(client, queue, whose, found) for queue, whose in needed(site)]
    if all(working[:-1]):  # a look moves no bytes
        await _systems(client, site, found)
    else:
        found.append(Finding("systems", None, "not looked at: no worker"))
    return found


async def server_line(client: Client) -> Finding:
    """Its version and limits; a server that does not tell is none the worse."""
    told = await server_told(client)
    return Finding("temporal server", True if told else None, told or "it does not tell its version")


def exit_code_of(found: list[Finding]) -> int:
    """That of the first failure; 0 when there is none."""
    return next((int(entry(each.code).exit_code or ExitCode.ERROR) for each in found if each.ok is False), 0)


def as_row(each: Finding) -> dict[str, Any]:
    """What JSON shows."""
    return {"what": each.what, "ok": each.ok, "line": each.line, "code": each.code, "to_do": each.action}


def _failed(what: str, error: FerryError) -> Finding:
    return Finding(what, False, error.message, error.code)


def _config(config: Path | None, found: list[Finding]) -> Settings:
    try:
        settings = load_settings(config)
    except FerryError as error:
        found.append(_failed("config", error))
        return Settings()
    if settings.path is None:
        missing = "there is no ferry.toml here: name it with --config or FERRY_CONFIG"
        found.append(Finding("config", False, missing, "config.invalid"))
        return settings
    named = f"sources {', '.join(settings.sources) or 'none'}; targets {', '.join(settings.targets) or 'none'}"
    found.append(Finding("config", True, f"{settings.path}: {named}"))
    return settings


def _payloads(settings: Settings, found: list[Finding]) -> None:
    """Whether this client encrypts. A worker with other keys is found by what it answers."""
    try:
        ids = codec_of(settings.temporal).key_ids
    except FerryError as error:
        found.append(_failed("payloads", error))
        return
    if not ids:
        found.append(Finding("payloads", True, "not encrypted in Temporal: [temporal] payload_key is not set"))
        return
    older = f"; {', '.join(ids[1:])} decrypt only" if len(ids) > 1 else ""
    found.append(Finding("payloads", True, f"encrypted with the key {ids[0]}{older}"))


async def _temporal(settings: Settings, found: list[Finding]) -> Client | None:
    try:
        client = await connect(settings.temporal)
        options = connect_options(settings.temporal)
    except FerryError as error:
        found.append(_failed("temporal", error))
        return None
    found.append(Finding("temporal", True, f"{options['target_host']}, namespace {client.namespace}"))
    found.append(await server_line(client))
    return client


async def _attributes(client: Client, found: list[Finding]) -> None:
    """Unregistered ones would stop a workflow at its first change of phase; a worker registers them as it starts."""
    what = "search attributes"
    try:
        answer = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status in (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED):
            found.append(Finding(what, None, f"this server does not show them: {error.message}"))
        else:
            found.append(_failed(what, as_ferry_error(error)))
        return
    kinds = {
        each.value: IndexedValueType.INDEXED_VALUE_TYPE_BOOL
        if each is Attribute.NEEDS_HUMAN
        else IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        for each in Attribute
    }
    registered = answer.custom_attributes
    missing = [name for name in kinds if name not in registered]
    wrong = [name for name, kind in kinds.items() if name in registered and registered[name] != kind]
    if wrong:
        found.append(Finding(what, False, f"registered with another type: {', '.join(wrong)}", "config.invalid"))
    elif missing:
        line = f"not registered: {', '.join(missing)}; a worker registers them when it starts"
        found.append(Finding(what, False, line, "temporal.no_worker"))
    else:
        found.append(Finding(what, True, f"all {len(kinds)} are registered"))


async def _workers(client: Client, queue: str, site: str, found: list[Finding]) -> bool:
    try:
        seen = await polled(client, queue, site)
    except RPCError as error:
        found.append(_failed(f"worker {queue}", as_ferry_error(error)))
        return False
    there = bool(seen.workers)
    found.append(Finding(f"worker {queue}", there, seen.line, "" if there else "temporal.no_worker"))
    return there


async def _systems(client: Client, site: str, found: list[Finding]) -> None:
    try:
        report = await inspect(client, InspectRequest(what="systems", site=site))
    except FerryError as error:
        found.append(_failed("systems", error))
        return
    found.extend(
        Finding(
            " ".join(filter(None, (each.kind, each.name, each.topic))),
            each.ok,
            each.line,
            each.code or ("internal" if each.ok is False else ""),
        )
        for each in report.systems
    )
