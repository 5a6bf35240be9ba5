"""Where bytes go: to the host that serves a VDI, on the network that the pool keeps for backups."""

from urllib.parse import urlsplit

from contracts.errors import FerryError
from platforms.xapi.connection import Connection, netloc
from platforms.xapi.lookup import Record

BACKUP_NETWORK = "xo:backupNetwork"


def backup_address(api: Connection, vdi: str) -> str | None:
    """``host[:port]`` on the backup network of a host that sees the VDI's SR; None where the pool names none.

    The coordinator is preferred. With None, one asks the coordinator, which redirects (xapi.md §1.4).

    Raises:
        FerryError: ``xapi.sr_unavailable`` when no such host has an address there.
    """
    pool = api.call("pool.get_record", api.call("pool.get_all")[0])
    uuid = pool["other_config"].get(BACKUP_NETWORK)
    if not uuid:
        return None
    network = api.call("network.get_by_uuid", uuid)
    pbds: dict[str, Record] = api.call("PBD.get_all_records")
    sr = api.call("VDI.get_SR", vdi)
    serving = {pbd["host"] for pbd in pbds.values() if pbd["SR"] == sr and pbd["currently_attached"]}
    pifs: dict[str, Record] = api.call("PIF.get_all_records")
    found = [pif for pif in pifs.values() if pif["network"] == network and pif["host"] in serving and pif["IP"]]
    found.sort(key=lambda pif: (pif["host"] != pool["master"], pif["IP"]))
    if not found:
        raise FerryError("xapi.sr_unavailable", "no host that sees the SR has an address on the pool's backup network")
    return netloc(found[0]["IP"], urlsplit(api.url).port)
