"""What a pool is and has, for the preflight and `ferry doctor`."""

import contextlib

from contracts.config import TargetConfig
from contracts.errors import FerryError
from contracts.steps import VHD_MOST, TargetFacts
from platforms.xapi.connection import LONG_CALL_SECONDS, Connection
from platforms.xapi.lookup import Record
from platforms.xapi.pool_facts import pool_facts
from platforms.xapi.wire import NULL

QCOW2_MOST = 16381 << 30
"""Bytes (xapi.md §1.14)."""


def describe(api: Connection) -> str:
    """One line: product, version, pool, hosts."""
    pool = _pool(api)
    version = api.call("host.get_software_version", pool["master"])
    product = f"{version.get('product_brand', 'XAPI')} {version.get('product_version', '')}".strip()
    hosts = len(api.call("host.get_all"))
    return f"{product}, pool {_pool_name(api, pool)}, {hosts} host{'s' if hosts != 1 else ''}"


def facts(api: Connection, config: TargetConfig, wanted: str | None) -> TargetFacts:
    """The pool, an SR, and all networks.

    Args:
        wanted: the SR's name or uuid; None is the configured one, else the pool's default.
    """
    pool = _pool(api)
    srs: dict[str, Record] = {
        ref: record for ref, record in api.call("SR.get_all_records").items() if record["content_type"] != "iso"
    }
    chosen = _choose_sr(srs, wanted or config.sr, pool["default_SR"])
    names = sorted(record["name_label"] for record in srs.values() if record["PBDs"])
    answer = TargetFacts(
        pool=_pool_name(api, pool),
        srs=tuple(names),
        networks=_networks(api),
        configured_networks=dict(config.networks),
        **pool_facts(api, pool, chosen),
    )
    if chosen is None:
        return answer
    record = fresh_sr(api, chosen)
    return answer.model_copy(
        update={
            "sr_uuid": record["uuid"],
            "sr_name": record["name_label"],
            "sr_type": record["type"],
            "sr_shared": record.get("shared"),
            "sr_creates": _creates(api, record["type"]),
            "disk_most": _disk_most(api, record["type"]),
            "sr_free": max(0, int(record["physical_size"]) - int(record["physical_utilisation"])),
        }
    )


def _disk_most(api: Connection, sr_type: str) -> int:
    """By what the SR's driver says of itself; one that does not tell holds VHD (xapi.md §1.14)."""
    drivers: dict[str, Record] = api.call("SM.get_all_records")
    formats = [each.get("supported_image_formats", []) for each in drivers.values() if each["type"] == sr_type]
    return QCOW2_MOST if any("qcow2" in each for each in formats) else VHD_MOST


def _creates(api: Connection, sr_type: str) -> bool | None:
    """Whether the SR's driver makes VDIs; None where it does not tell what it can do."""
    drivers: dict[str, Record] = api.call("SM.get_all_records")
    features = [each.get("features") for each in drivers.values() if each["type"] == sr_type]
    if sr_type == "udev":  # removable storage
        return False
    return any("VDI_CREATE" in each for each in features if each) if any(features) else None


def _pool(api: Connection) -> Record:
    record: Record = next(iter(api.call("pool.get_all_records").values()))
    return record


def _pool_name(api: Connection, pool: Record) -> str:
    return str(pool["name_label"] or api.call("host.get_name_label", pool["master"]))


def _choose_sr(srs: dict[str, Record], wanted: str | None, default: str) -> str | None:
    """By uuid, else by name where it is the only one of it; the pool's default when nothing is wanted."""
    if not wanted:
        return default if default != NULL and default in srs else None
    found = [ref for ref, record in srs.items() if record["uuid"] == wanted]
    found = found or [ref for ref, record in srs.items() if record["name_label"] == wanted]
    return found[0] if len(found) == 1 else None


def fresh_sr(api: Connection, sr: str) -> Record:
    """Sizes as of now: what XAPI keeps is as old as its last scan (xapi.md §3.8)."""
    for method in ("SR.scan", "SR.update"):
        with contextlib.suppress(FerryError):
            api.call(method, sr, patience=LONG_CALL_SECONDS)
            break
    record: Record = api.call("SR.get_record", sr)
    return record


def _networks(api: Connection) -> dict[str, str]:
    """Uuid and name to uuid. A name that several networks bear is left out: it names none."""
    records = list(api.call("network.get_all_records").values())
    names = [record["name_label"] for record in records]
    known = {record["name_label"]: record["uuid"] for record in records if names.count(record["name_label"]) == 1}
    return {**known, **{record["uuid"]: record["uuid"] for record in records}}
