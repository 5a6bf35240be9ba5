"""VDI.checksum: MD5 of the whole block device, read in dom0 (xapi.md §4.3). No progress, and no cancel."""

import hashlib
import os
import time
from typing import TYPE_CHECKING

from simulators.xapi.failure import XapiFailure
from simulators.xapi.pool import message
from simulators.xapi.transfers import attached

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool

PIECE = 1 << 20


@message("VDI.checksum", long=True)
def checksum(pool: "Pool", session: str, vdi: str) -> str:
    sr = pool.db.get("VDI", vdi)["SR"]
    host = next((each for each in pool.hosts if pool.sees(each, sr)), None)
    if host is None:
        raise XapiFailure("SR_HAS_NO_PBDS", sr)
    rule = pool.faults.strike("VDI.checksum!", str(pool.db.get("VDI", vdi)["name_label"]))
    if rule is not None and rule.action == "error":
        raise XapiFailure(*rule.argument)
    pace = float(rule.argument) if rule is not None and rule.action == "slow" else 0.0
    digest = hashlib.md5(usedforsecurity=False)
    with attached(pool, host, vdi, "RO", None) as device:
        for at in range(0, device.size, PIECE):
            piece = os.pread(device.descriptor, min(PIECE, device.size - at), at)
            digest.update(piece)
            if pace:
                time.sleep(len(piece) / pace)
    return digest.hexdigest()
