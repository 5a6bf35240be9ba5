"""The hosts of a pool, who has which MAC, what our role may do, and where bytes would be sent: for the preflight.

Reads records only. What the pool does not answer is None.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from checks.privileges import POOL
from contracts.errors import FerryError
from contracts.facts import CardSeen, Dialled, Lacking, PoolHost
from contracts.names import OwnerKey
from platforms.reaching import reach
from platforms.xapi.addresses import BACKUP_NETWORK
from platforms.xapi.connection import Connection, netloc
from platforms.xapi.faults import XapiFailure
from platforms.xapi.lookup import Record

UPGRADING = "rolling_upgrade_in_progress"
"""Of the pool's other_config, as long as its hosts are not of one version (xapi_globs.ml)."""
MOST_CLOCKS = 16
"""Hosts whose clocks are read: each is a call to that host."""
CLOCK_SECONDS = 5.0
Answer = TypeVar("Answer")


def untold(ask: Callable[[], Answer]) -> Answer | None:
    """None where XAPI refuses the question itself: an old version, or a role that may not ask it."""
    try:
        return ask()
    except XapiFailure as failure:
        if failure.code in ("xapi.unreachable", "xapi.login_refused"):
            raise
        return None


def pool_facts(api: Connection, pool: Record, sr: str | None) -> dict[str, Any]:
    """Fields of :class:`contracts.steps.TargetFacts`, beside those of the SR and the networks.

    Args:
        sr: the ref of the chosen one.
    """
    networks: dict[str, Record] = api.call("network.get_all_records")
    pifs: dict[str, Record] = api.call("PIF.get_all_records")
    pbds: dict[str, Record] = api.call("PBD.get_all_records")
    hosts: dict[str, Record] = api.call("host.get_all_records")
    serving = {pbd["host"] for pbd in pbds.values() if pbd["SR"] == sr and pbd["currently_attached"]}
    plugged = {
        (pif["host"], networks[pif["network"]]["uuid"])
        for pif in pifs.values() if pif["currently_attached"] and pif["network"] in networks
    }  # fmt: skip
    carded = {pif["network"] for pif in pifs.values()}
    backup = _backup(pool, networks)
    doors = [
        pif["IP"] for pif in pifs.values()
        if backup is not None and pif["network"] == backup[0] and pif["host"] in serving and pif["IP"]
    ]  # fmt: skip
    own = [hosts[ref]["address"] for ref in hosts if ref in serving and not pool["other_config"].get(BACKUP_NETWORK)]
    answers = reach(_dial(api, address) for address in (*doors, *own))
    seen = tuple(
        _host(api, pool, ref, record, serving, [uuid for host, uuid in plugged if host == ref], answers)
        for ref, record in hosts.items()
    )
    version = hosts[pool["master"]]["software_version"] if pool["master"] in hosts else {}
    return {
        "product": version.get("product_brand", ""),
        "version": version.get("product_version", ""),
        "hosts": _with_clocks(api, list(hosts), seen),
        "internal_networks": tuple(each["uuid"] for ref, each in networks.items() if ref not in carded),
        "cards": untold(lambda: _cards(api)),
        "lacking": untold(lambda: lacking(api)),
        "backup_network": backup[1] if backup is not None else "",
        "backup_doors": tuple(_dialled(api, address, answers) for address in doors) if backup is not None else None,
        "ha_enabled": pool.get("ha_enabled"),
        "upgrading": UPGRADING in pool["other_config"],
        "reads_ranges": any({"nbd", "insecure_nbd"} & set(each.get("purpose", [])) for each in networks.values()),
    }


def lacking(api: Connection) -> tuple[Lacking, ...]:
    """Calls of :data:`checks.privileges.POOL` that the role of our session refuses.

    Root is never asked, and has no permissions written down (xapi_session.ml).
    """
    session = api.session()
    if api.call("session.get_is_local_superuser", session):
        return ()
    allowed = set(api.call("session.get_rbac_permissions", session))
    return tuple(Lacking(right=need.right) for need in POOL if need.right.lower() not in allowed)


def skew_of(api: Connection, host: str) -> float | None:
    """Seconds that a host's clock is ahead of ours; None where the host does not answer the coordinator."""
    before = time.time()
    try:
        told = str(api.call("host.get_servertime", host, patience=CLOCK_SECONDS))
    except FerryError:
        return None
    here = (before + time.time()) / 2
    there = _when(told)
    return round(there.timestamp() - here, 1) if there is not None else None


def _with_clocks(api: Connection, refs: list[str], seen: tuple[PoolHost, ...]) -> tuple[PoolHost, ...]:
    asked = [each.live for each in seen]
    return tuple(
        each.model_copy(update={"clock_skew": skew_of(api, ref)}) if live and number < MOST_CLOCKS else each
        for number, (ref, each, live) in enumerate(zip(refs, seen, asked, strict=True))
    )


def _host(
    api: Connection, pool: Record, ref: str, record: Record, serving: set[str], networks: list[str],
    answers: dict[tuple[str, int], str],
) -> PoolHost:  # fmt: skip
    metrics = untold(lambda: api.call("host_metrics.get_record", record["metrics"])) or {}
    cpus = record.get("cpu_info", {}).get("cpu_count", "")
    dial = _dial(api, record["address"])
    return PoolHost(
        name=record["name_label"],
        enabled=record["enabled"],
        live=metrics.get("live", True),
        coordinator=ref == pool["master"],
        memory_total=_number(metrics.get("memory_total")),
        memory_free=_number(metrics.get("memory_free")),
        cpus=int(cpus) if cpus.isdigit() else None,
        sees_sr=ref in serving,
        networks=tuple(sorted(networks)),
        licence_over=_licence_over(record),
        dialled=_dialled(api, record["address"], answers) if dial in answers else None,
    )


def _number(told: object) -> int | None:
    """Integers travel as strings. A host that was not measured yet says 0."""
    text = str(told or "")
    return int(text) if text.isdigit() and int(text) else None


def _licence_over(host: Record) -> str:
    until = _when(host.get("license_params", {}).get("expiry", ""))
    if until is None or until > datetime.now(UTC):
        return ""
    return f"the licence ({host.get('edition') or 'of no edition'}) ran out on {until:%Y-%m-%d}"


def _when(text: str) -> datetime | None:
    """``20261125T02:33:15Z``, with or without dashes; UTC, whatever it says. None for what is no time."""
    try:
        return datetime.strptime(text.replace("-", "").rstrip("Z").partition(".")[0], "%Y%m%dT%H:%M:%S").replace(
            tzinfo=UTC
        )
    except ValueError:
        return None


def _cards(api: Connection) -> tuple[CardSeen, ...]:
    """Of VMs, running or not; snapshots and templates never run."""
    vms: dict[str, Record] = api.call("VM.get_all_records")
    vifs: dict[str, Record] = api.call("VIF.get_all_records")
    return tuple(
        CardSeen(
            mac=vif["MAC"],
            vm=vm["name_label"],
            running=vm["power_state"] in ("Running", "Paused"),
            migration=vm["other_config"].get(OwnerKey.MIGRATION, ""),
        )
        for vif in vifs.values()
        if (vm := vms.get(vif["VM"])) is not None and not vm["is_a_template"] and not vm["is_a_snapshot"]
    )


def _backup(pool: Record, networks: dict[str, Record]) -> tuple[str, str] | None:
    """Ref and name of the network that the pool keeps for backups; a uuid that names none is told as it is."""
    uuid = pool["other_config"].get(BACKUP_NETWORK)
    if not uuid:
        return None
    found = [(ref, each["name_label"] or uuid) for ref, each in networks.items() if each["uuid"] == uuid]
    return found[0] if found else ("", uuid)


def _dial(api: Connection, address: str) -> tuple[str, int]:
    """Host and port, the port being that of the pool's URL where the address has none."""
    parts = urlsplit(f"https://{netloc(address, urlsplit(api.url).port)}")
    return parts.hostname or address, parts.port or 443


def _dialled(api: Connection, address: str, answers: dict[tuple[str, int], str]) -> Dialled:
    host, port = _dial(api, address)
    return Dialled(address=host, port=port, trouble=answers.get((host, port), ""))
